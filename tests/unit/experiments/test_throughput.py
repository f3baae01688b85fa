"""The throughput experiment's calls, clients, record, report and plot."""

from __future__ import annotations

import asyncio
import collections
import pathlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from experiments import headlines, throughput_report
from experiments.plots import throughput as throughput_plot
from experiments.systems import SEUSS, SYSTEMS
from experiments.throughput import Scale, Throughput, Trial, calls, drive, order
from orchestrator.function import Function
from snapshot_store.errors import SeussError

SCALE = Scale(16, 4, (0, 2, 4), 2)
RATES = {SEUSS: 200.0, "podman": 5.0, "crun": 40.0}


def trial(system: str, functions: int, number: int) -> Trial:
    """A trial in which no call failed."""
    return Trial(
        system,
        functions,
        number,
        SCALE.calls / RATES[system],
        [5.0] * SCALE.calls,
        {"cold": 16},
        [],
    )


@pytest.fixture
def record() -> Throughput:
    """A run in which every promise is kept."""
    facts = {"accelerator": "tcg", "started": 1.7e9, "cores": 2, "guest_cores": 2}
    made = Throughput(facts, 3, SCALE, 512)
    made.containers = {"podman": 50, "crun": 50}
    made.container_bytes = {"podman": 1e7, "crun": 1e7}
    for number in range(SCALE.rounds):
        made.trials += [trial(*each, number) for each in order(SCALE, 3, number)]
    return made


def test_every_round_has_every_trial_once() -> None:
    every = {(system, 2**k) for system in SYSTEMS for k in SCALE.exponents}
    orders = [order(SCALE, 5, number) for number in range(4)]
    assert all(len(found) == len(every) and set(found) == every for found in orders)
    assert len({tuple(found) for found in orders}) > 1


def test_functions_are_called_alike_in_mixed_order() -> None:
    made = calls(SCALE, 4, "seed")
    assert sorted(collections.Counter(each.id for each in made).values()) == [4] * 4
    assert [each.id for each in made] == [each.id for each in calls(SCALE, 4, "seed")]
    assert [each.id for each in made[:4]] != [each.id for each in made[4:8]]
    assert not {each.id for each in made} & {each.id for each in calls(SCALE, 4, "other")}


async def test_clients_wait_for_their_answers_and_failures_count() -> None:
    under_way = most = 0
    wanted = calls(SCALE, 16, "seed")

    async def call(function: Function, _: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        if function is wanted[3]:
            raise SeussError("no luck")
        return ({"wrong": 1} if function is wanted[5] else {}), "cold"

    seconds, latencies, paths, errors = await drive(call, wanted, SCALE, {})
    assert most == SCALE.clients
    assert len(latencies) == SCALE.calls
    assert paths == {"cold": 15}
    assert errors == ["no luck", "wrong answer: {'wrong': 1}"]
    assert Trial(SEUSS, 16, 0, seconds, latencies, paths, errors).rate == 14 / seconds


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the record's few calls decide."""
    monkeypatch.setattr(throughput_report, "FEWEST_CALLS", SCALE.calls)


def test_few_calls_decide_nothing(record: Throughput) -> None:
    checks = throughput_report.check(record)
    assert [(each.passed, each.verdict) for each in checks[:4]] == [(None, "not judged")] * 4
    assert checks[0].value == pytest.approx(40)
    assert checks[4].passed
    text = throughput_report.render(record)
    assert "not judged | 16 calls in a trial are too few, 256 decide; medians of" in text


@pytest.mark.usefixtures("enough")
def test_verdicts(record: Throughput) -> None:
    assert [item.passed for item in throughput_report.check(record)] == [True] * 5
    slow = [
        replace(each, seconds=each.seconds * 100, errors=["x"]) if each.system == SEUSS else each
        for each in record.trials
    ]
    assert [i.passed for i in throughput_report.check(replace(record, trials=slow))] == [False] * 5
    checks = throughput_report.check(replace(record, trials=[]))
    assert [item.passed for item in checks] == [None] * 5


def test_headline_has_our_ratios_and_the_papers(record: Throughput) -> None:
    told = headlines.rates(record)
    assert "40 x a pool of containers by podman (paper 51 x, Docker, primary)" in told
    assert "5 x a pool of containers by crun" in told
    assert headlines.rates(replace(record, trials=[])) == ""


def test_report_and_plot_of_a_saved_record(record: Throughput, tmp_path: pathlib.Path) -> None:
    record.save(tmp_path)
    assert len((tmp_path / "throughput.csv").read_text().splitlines()) == 1 + 18 * 16
    loaded = Throughput.load(tmp_path)
    assert loaded == record
    text = throughput_report.render(loaded)
    assert "| 16 | 200.0 (200.0 to 200.0) | 5.0 (5.0 to 5.0) |" in text
    assert "| 51 x | primary | 40.0 |" in text
    for path in throughput_plot.draw(loaded, tmp_path):
        assert path.stat().st_size > 1000


@pytest.mark.usefixtures("enough")
def test_a_pool_that_cannot_run_is_a_row_with_its_reason(
    record: Throughput, tmp_path: pathlib.Path
) -> None:
    record.trials = [each for each in record.trials if each.system != "podman"]
    record.unavailable["podman"] = "no such program"
    assert "does not run here: no such program" in throughput_report.render(record)
    assert [i.passed for i in throughput_report.check(record)] == [None, True, None, True, True]
    assert throughput_plot.draw(record, tmp_path)


def test_other_records_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "throughput.json").write_text('{"experiment": "cores", "format": 1}')
    with pytest.raises(ValueError, match="no record of the throughput"):
        Throughput.load(tmp_path)
