"""Records, verdicts, reports and plots of Micro's experiments, from made-up samples."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from typing import Any

import pytest

from experiments import (
    micro_latency,
    micro_latency_report,
    micro_preemption,
    micro_preemption_report,
)
from experiments.experiment import MICRO_LATENCY, MICRO_PREEMPTION
from experiments.micro_runs import MicroRecord, Run
from experiments.promises import Check

FACTS: dict[str, Any] = {"accelerator": "none: native code", "cores": 2, "started": 1.7e9}
MICROSECONDS = {
    "language warm": 1,
    "language warm, 20 us tick": 2,
    "language warm, worker asleep": 30,
    "process warm": 20,
    "language cold": 40,
    "language cold, library with std": 90,
    "process cold": 2000,
}


@pytest.fixture
def latency() -> MicroRecord:
    """A run in which every promise is kept."""
    record = MicroRecord(micro_latency.NAME, dict(FACTS), seed=1, rounds=3)
    for number in range(3):
        for way in micro_latency.LATENCIES:
            values = [MICROSECONDS[way.name] * 1000 + each for each in range(10)]
            result = {"latency_ns": values}
            record.runs.append(Run(way.measurement, way.name, number, {}, result))
        for way, answered in zip(micro_latency.RATES, (100_000, 10_000), strict=True):
            result_ = {"answered": answered, "elapsed_ns": 100_000_000}
            record.runs.append(Run(way.measurement, way.name, number, {}, result_))
    for way, size in ((micro_latency.LANGUAGE_MEMORY, 1), (micro_latency.PROCESS_MEMORY, 2)):
        memory = {
            "functions": 5000,
            "available_bytes": size << 30,
            "proportional_bytes": size << 29,
        }
        record.runs.append(Run(way.measurement, way.name, 0, {}, memory))
    return record


def rate(way: str, quantum: int, part: float) -> Run:
    result = {"answered": int(1000 * part), "elapsed_ns": 1_000_000}
    return Run("throughput", way, 0, {"quantum_ns": quantum}, result)


@pytest.fixture
def preemption(monkeypatch: pytest.MonkeyPatch) -> MicroRecord:
    """A run in which every promise is kept, on a machine with a costly timer; each run decides."""
    monkeypatch.setattr(micro_preemption_report, "FEWEST", 1)
    parts = micro_preemption
    record = MicroRecord(parts.NAME, dict(FACTS), seed=1, rounds=1)
    for quantum in (*parts.QUANTA_NS, parts.NO_TICK):
        lost = 10_000 / quantum if quantum else 0.0
        record.runs.append(rate(parts.BARE, quantum, max(0.0, 1 - lost)))
        record.runs.append(rate(parts.WORKER, quantum, max(0.0, 0.98 * (1 - lost))))
        record.runs.append(rate(parts.REQUESTS, quantum, max(0.0, 1 - lost)))
    for quantum in parts.QUANTA_NS:
        result = {"interval_ns": [quantum - 500, quantum + 500, quantum]}
        record.runs.append(Run("jitter", parts.JITTER, 0, {"quantum_ns": quantum}, result))
    for way, quanta in ((parts.DELAY, parts.DELAY_QUANTA_NS), (parts.LEAK, (100_000,))):
        for quantum in quanta:
            stopped = {
                "wait_ns": [150_000] * 1000,
                "stopped_after_ns": [140_000] * 1000,
                "resident_bytes": [1 << 20] * 10 + [2 << 20] * 90,
            }
            of = {"of": parts.LEAK_FUNCTION} if way == parts.LEAK else {}
            record.runs.append(Run("preempted", way, 0, {"quantum_ns": quantum} | of, stopped))
    for function in parts.SURVIVAL_FUNCTIONS:
        for mechanism in parts.MECHANISMS:
            died = 5 if mechanism == "unwind" and function == "sort" else 0
            result_ = {
                "workers": 20,
                "stopped": 10_000 - died,
                "other_endings": 0,
                "died": died,
                "hung": 0,
                "growth_bytes": [0] * (20 - died),
            }
            parameters = {"mechanism": mechanism, "of": function}
            record.runs.append(Run("survival", parts.SURVIVAL, 0, dict(parameters), result_))
    return record


def verdicts(checks: list[Check]) -> list[bool | None]:
    return [check.passed for check in checks]


def changed(record: MicroRecord, way: str, **values: Any) -> MicroRecord:
    """The record with other values in every result of one way."""
    runs = [
        replace(run, result=(run.result or {}) | values) if run.way == way else run
        for run in record.runs
    ]
    return replace(record, runs=runs)


def test_latency_verdicts(latency: MicroRecord) -> None:
    check = micro_latency_report.check
    assert verdicts(check(latency)) == [True, True]
    slow = changed(latency, "language warm", latency_ns=[10_000] * 10)
    assert verdicts(check(slow)) == [False, True]
    slow = changed(latency, "language cold", latency_ns=[100_000] * 10)
    assert verdicts(check(slow)) == [True, False]
    assert verdicts(check(replace(latency, runs=[]))) == [None, None]


def test_every_round_measures_every_way_once() -> None:
    names = {way.name for way in (*micro_latency.LATENCIES, *micro_latency.RATES)}
    orders = [[way.name for way in micro_latency.order(5, number)] for number in range(3)]
    assert all(len(found) == len(names) and set(found) == names for found in orders)
    assert orders[0] == [way.name for way in micro_latency.order(5, 0)]
    pairs = micro_preemption.order(5, 0)
    judged = (micro_preemption.WORKER, micro_preemption.JUDGED_QUANTUM_NS)
    assert pairs.count(judged) == micro_preemption.JUDGED_OFTEN
    assert pairs == micro_preemption.order(5, 0) != micro_preemption.order(5, 1)


def test_latency_report(latency: MicroRecord) -> None:
    text = micro_latency_report.render(latency)
    assert "| language memory | 5000 | 1.000 | 0.500 |" in text
    assert "| memory of 5000 resident functions, language-based | 1 GiB | 1.3 GiB | 0.769 |" in text
    assert "| warm invocation median, language-based | 1 us | 1.2 us | 0.837 |" in text
    assert "What did not work" not in text
    broken = replace(latency, runs=[Run("warm", "language warm", 2, {}, None, "no worker")])
    assert "language warm {}, in 1 of 3 rounds: no worker" in micro_latency_report.render(broken)


def test_few_runs_do_not_decide_throughput(
    preemption: MicroRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    first, *others = micro_preemption_report.check(preemption)
    assert (first.verdict, first.unjudged) == ("not judged", "1 runs are too few, 5 decide")
    assert verdicts(others) == [True] * 3


def test_preemption_verdicts(preemption: MicroRecord) -> None:
    check, parts = micro_preemption_report.check, micro_preemption
    assert verdicts(check(preemption)) == [True] * 4
    assert "forbids" in check(preemption)[0].detail
    slow = [
        rate(run.way, 20_000, 0.4) if run.way == parts.WORKER and of(run) == 20_000 else run
        for run in preemption.runs
    ]
    assert verdicts(check(replace(preemption, runs=slow)))[0] is False
    late = changed(preemption, parts.DELAY, wait_ns=[400_000] * 100)
    assert verdicts(check(late)) == [True, False, True, True]
    leaking = [1 << 20, *((2 << 20) + (each << 10) for each in range(100))]
    leaky = changed(preemption, parts.LEAK, resident_bytes=leaking)
    assert verdicts(check(leaky)) == [True, True, False, True]
    idle = [
        replace(run, parameters=run.parameters | {"of": "spin"}) if run.way == parts.LEAK else run
        for run in preemption.runs
    ]
    assert verdicts(check(replace(preemption, runs=idle))) == [True, True, None, True]
    lost = changed(preemption, parts.SURVIVAL, died=1)
    assert verdicts(check(lost)) == [True, True, True, False]
    assert verdicts(check(replace(preemption, runs=[]))) == [None] * 4


def of(run: Run) -> object:
    return run.parameters.get("quantum_ns")


def test_cheap_timer_is_judged_by_throughput_alone(preemption: MicroRecord) -> None:
    parts = micro_preemption
    kept = {parts.BARE: 0.99, parts.WORKER: 0.9}
    runs = [
        rate(run.way, 20_000, kept[run.way]) if run.way in kept and of(run) == 20_000 else run
        for run in preemption.runs
    ]
    (first, *_) = micro_preemption_report.check(replace(preemption, runs=runs))
    assert (first.passed, first.limit) == (True, 0.85)
    assert first.value == pytest.approx(0.9 / 0.98, abs=0.01)


def test_preemption_report(preemption: MicroRecord) -> None:
    text = micro_preemption_report.render(preemption)
    assert "| sort | unwind | 15 of 20 | 5 | 0 | 9995 | 0 | 0 |" in text
    assert "| 20 | 20.00 | 0.50 | 0.5 | 3 |" in text
    assert "| 100 | 1000 | 47.0 | 47.0 | 150.0 | 150.0 |" in text
    assert micro_preemption_report.paper_kept(20_000) == 0.87
    assert micro_preemption_report.paper_kept(60_000) is None


@pytest.mark.parametrize("name", ["latency", "preemption"])
def test_records_survive_the_disk_and_are_drawn(
    name: str, tmp_path: pathlib.Path, request: pytest.FixtureRequest
) -> None:
    record: MicroRecord = request.getfixturevalue(name)
    experiment = MICRO_LATENCY if name == "latency" else MICRO_PREEMPTION
    record.save(tmp_path)
    assert MicroRecord.load(record.experiment, tmp_path) == record
    experiment.write_again(tmp_path)
    for suffix in ("csv", "md", "pdf", "png"):
        assert (tmp_path / f"{record.experiment}.{suffix}").stat().st_size > 100
    with pytest.raises(ValueError, match="no record of"):
        other = "micro-preemption" if name == "latency" else "micro-latency"
        (tmp_path / f"{record.experiment}.json").rename(tmp_path / f"{other}.json")
        MicroRecord.load(other, tmp_path)


def test_unfinished_records_are_drawn(latency: MicroRecord, tmp_path: pathlib.Path) -> None:
    empty = replace(latency, runs=[])
    MICRO_LATENCY.write(empty, tmp_path)
    MICRO_PREEMPTION.write(replace(empty, experiment=micro_preemption.NAME), tmp_path)
