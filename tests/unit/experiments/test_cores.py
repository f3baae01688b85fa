"""The cores experiment's order, record, report and plot."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest
from matplotlib.axes import Axes

from experiments import cores_report
from experiments.cores import FUNCTIONS, ONE, PAIR, TWO, WAYS, Cores, Sample, order
from experiments.plots import cores as cores_plot

ANSWERS = {ONE: 100, TWO: 180, PAIR: 190}
VCPU = {ONE: 1.0, TWO: 1.8, PAIR: 1.9}


def sample(function: str, way: str, number: int) -> Sample:
    """A slice of one second in which nobody else wanted a processor."""
    return Sample(function, way, number, 1.0, ANSWERS[way], 0, VCPU[way], 0.05, 0.1, 0.0)


@pytest.fixture
def record() -> Cores:
    """A run in which every promise is kept."""
    made = Cores({"accelerator": "tcg", "started": 1.7e9, "cores": 2}, seed=3, rounds=4)
    for number in range(made.rounds):
        made.samples += [sample(name, way, number) for name, way in order(3, number)]
    return made


def test_every_round_measures_every_way_once() -> None:
    every = {(workload.name, way) for workload in FUNCTIONS for way in WAYS}
    orders = [order(5, number) for number in range(4)]
    assert all(len(found) == len(every) and set(found) == every for found in orders)
    assert orders[0] == order(5, 0)
    assert len({tuple(found) for found in orders}) > 1


def test_verdicts(record: Cores) -> None:
    assert [item.passed for item in cores_report.check(record)] == [True] * 3
    slow = [
        replace(each, answers=150, wrong=1) if each.way == TWO else each for each in record.samples
    ]
    assert [item.passed for item in cores_report.check(replace(record, samples=slow))] == [
        False
    ] * 3
    assert [item.passed for item in cores_report.check(replace(record, samples=[]))] == [None] * 3


def test_samples_that_others_disturbed_are_not_judged(record: Cores) -> None:
    disturbed = [
        replace(each, answers=10, others=0.5) if each.round == 0 else each
        for each in record.samples
    ]
    judged = replace(record, samples=disturbed)
    assert [item.passed for item in cores_report.check(judged)] == [True] * 3
    assert "3 of 4" in cores_report.render(judged)
    assert "by all samples" in cores_report.check(judged)[0].detail
    busy = [replace(each, others=0.5) for each in record.samples]
    checks = cores_report.check(replace(record, samples=busy))
    assert [item.passed for item in checks] == [None, None, True]
    assert "others took over 0.1 cores" in checks[0].detail


def test_report_says_who_had_the_processors(record: Cores) -> None:
    text = cores_report.render(record)
    assert "| NOP | two cores | 1.80 | 0.05 | 0.10 | 0.00 |" in text
    # As much processor time per answer as on one core: twice, once both have a core each.
    assert "| NOP | two cores | 180 | 180 to 180 | 1.80 | 10.00 | 4 of 4 | 2.00 |" in text
    assert "at least 1.6 x" in text and "two nodes of one core 1.9" in text
    assert "not measured" in cores_report.render(replace(record, samples=[]))


def test_record_survives_the_disk(record: Cores, tmp_path: pathlib.Path) -> None:
    record.save(tmp_path)
    assert Cores.load(tmp_path) == record
    lines = (tmp_path / "cores.csv").read_text().splitlines()
    assert lines[0].startswith("function,way,round,seconds,answers")
    assert len(lines) == 1 + len(record.samples)
    (tmp_path / "cores.json").write_text('{"experiment": "latency", "format": 1}')
    with pytest.raises(ValueError, match="no record of the cores experiment"):
        Cores.load(tmp_path)


def test_the_picture_shows_the_medians_that_are_judged(
    record: Cores, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = [
        replace(each, answers=each.answers // 3, others=0.5)
        for each in record.samples
        if each.way == TWO
    ]
    lines: list[float] = []
    monkeypatch.setattr(
        Axes, "hlines", lambda self, y, *rest, **more: lines.append(y), raising=True
    )
    drawn = replace(record, samples=[*record.samples, *slow])
    cores_plot.draw(drawn, tmp_path)
    expected = [cores_report.ratio(drawn, each.name, way) for each in FUNCTIONS for way in WAYS]
    assert lines == pytest.approx([each.value for each in expected if each is not None])


def test_plot_is_drawn(record: Cores, tmp_path: pathlib.Path) -> None:
    for drawn in (record, replace(record, samples=[])):
        for path in cores_plot.draw(drawn, tmp_path):
            assert path.stat().st_size > 1000
