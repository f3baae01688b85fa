"""The burst experiment's schedule, calls, server, record, report and plot."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from experiments import burst_report, headlines
from experiments.burst import SCALES, Burst, Timeline, order
from experiments.burst_calls import CPU, IO, Calls, Due, Outcome, Scale, known, schedule
from experiments.late_server import TEXT, late_server
from experiments.plots import burst as burst_plot
from experiments.systems import SEUSS, SYSTEMS
from orchestrator.function import Function
from snapshot_store.errors import SeussError

SCALE = Scale((2.0, 1.0), 4, 3, 5, 4.0, 2, 1.0, 1.0, 5.0, 512)
STATE = {"state": 7}
ANSWERS: dict[str, dict[str, Any]] = {CPU: STATE, IO: {"status": 200, "text": TEXT}}


def timeline(system: str, interval_s: float) -> Timeline:
    """A timeline in which no call failed."""
    outcomes = [
        Outcome(due.at_s, due.kind, due.burst, 40.0, "hot", None)
        for due in schedule(SCALE, interval_s)
    ]
    return Timeline(system, interval_s, outcomes)


@pytest.fixture
def record() -> Burst:
    """A run in which every promise is kept."""
    made = Burst(
        {"accelerator": "tcg", "started": 1.7e9, "cores": 2, "guest_cores": 2}, 3, SCALE, 512
    )
    made.containers = {"podman": 50, "crun": 50}
    made.container_bytes = {"podman": 1e7, "crun": 1e7}
    made.timelines = [timeline(*each) for each in order(SCALE, 3)]
    return made


def test_every_system_has_every_interval_once() -> None:
    every = {(system, interval) for system in SYSTEMS for interval in SCALE.intervals}
    assert len(order(SCALE, 5)) == len(every)
    assert set(order(SCALE, 5)) == every
    assert len({tuple(order(SCALE, seed)) for seed in range(4)}) > 1


def test_bursts_are_due_at_once_over_a_steady_background() -> None:
    due = schedule(SCALE, 2.0)
    assert due == sorted(due, key=lambda each: each.at_s)
    background = [each for each in due if each.burst is None]
    assert [each.at_s for each in background] == [number / 4 for number in range(40)]
    assert {each.name for each in background} == {each.name for each in known(SCALE)}
    for burst in range(4):
        own = [each for each in due if each.burst == burst]
        assert {each.at_s for each in own} == {1.0 + 2.0 * burst}
        kind, calls = (IO, 5) if burst % 2 else (CPU, 3)
        assert [each.kind for each in own] == [kind] * calls
    assert len({each.name for each in due}) == 2 + 4


def test_scales_keep_the_papers_proportions() -> None:
    full = SCALES["full"]
    for name, part in (("default", 4), ("quick", 8)):
        scale = SCALES[name]
        assert scale.intervals == tuple(each / part for each in full.intervals)
        assert (scale.cpu_calls, scale.io_calls) == (full.cpu_calls / part, full.io_calls / part)
        assert scale.deadline_s == full.deadline_s / part


async def test_calls_are_made_when_due_and_failures_are_outcomes() -> None:
    under_way = most = 0
    seen: dict[str, tuple[Function, Mapping[str, Any]]] = {}
    wanted = [
        *(Due(0.02, CPU, "burst 0", 0) for _ in range(4)),
        Due(0.0, IO, "known 1", None),
        *(Due(0.0, CPU, name, None) for name in ("fails", "lies", "hangs")),
    ]
    # As for a pool: containers see the server where no unikernel's function may be led.
    calls = Calls("127.0.0.1:80", "10.0.2.2:80", "seed", STATE)
    names = {calls.function(each).id: each.name for each in wanted}

    async def call(function: Function, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        nonlocal under_way, most
        name = names[function.id]
        seen[name] = function, arguments
        if name == "fails":
            raise SeussError("no luck")
        if name == "hangs":
            await asyncio.sleep(3600)
        if name.startswith("burst"):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
        if name == "lies":
            return {}, "hot"
        return ANSWERS[IO if function.network else CPU], "hot"

    outcomes = await calls.drive(call, wanted, 0.3)
    assert most == 4
    assert [each.error for each in outcomes[:5]] == [None] * 5
    assert [each.error for each in outcomes[5:]] == [
        *("no luck", "wrong answer: {}", "no answer within 0.3 s")
    ]
    assert (outcomes[7].path, outcomes[7].latency_ms >= 300) == (None, True)
    assert (outcomes[0].at_s, outcomes[0].burst, outcomes[4].burst) == (0.02, 0, None)
    assert seen["known 1"][0].network == ("10.0.2.2:80",)
    assert seen["known 1"][1] == {"server": "127.0.0.1:80"}
    other = Calls("10.0.2.2:80", "10.0.2.2:80", "other", STATE)
    assert not names.keys() & {other.function(each).id for each in wanted}


async def test_the_server_answers_every_call_late() -> None:
    async def fetch(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async with late_server(0.05) as port:
        clock = asyncio.get_running_loop().time
        began = clock()
        answers = await asyncio.gather(*(fetch(port) for _ in range(20)))
        assert clock() - began >= 0.05
    assert all(each.startswith(b"HTTP/1.1 200") for each in answers)
    assert all(each.endswith(TEXT.encode()) for each in answers)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def test_verdicts(record: Burst) -> None:
    assert [item.passed for item in burst_report.check(record)] == [True] * 2
    spoilt = [
        replace(each, outcomes=[*each.outcomes, Outcome(1.0, CPU, 0, 9.0, None, "no luck")])
        for each in record.timelines
    ]
    found = burst_report.check(replace(record, timelines=spoilt))
    assert [(item.passed, item.value) for item in found] == [(False, 1.0)] * 2
    assert "podman failed 1; crun failed 1" in found[0].detail
    # Others' failures are no failures of ours.
    others = [
        mine if mine.system == SEUSS else theirs
        for mine, theirs in zip(record.timelines, spoilt, strict=True)
    ]
    checks = burst_report.check(replace(record, timelines=others))
    assert [item.passed for item in checks] == [True] * 2
    checks = burst_report.check(replace(record, timelines=[]))
    assert [item.passed for item in checks] == [None] * 2


def test_headline_counts_every_failure(record: Burst) -> None:
    calls = sum(len(each.outcomes) for each in record.timelines if each.system == SEUSS)
    record.timelines = [each for each in record.timelines if each.system != "crun"]
    for each in record.timelines:
        if each.system == "podman":
            each.outcomes[0] = replace(each.outcomes[0], error="no luck")
    told = f"calls failed under bursts 0 of {calls} by seuss, 2 of {calls} by podman"
    assert headlines.failures(record) == told
    assert headlines.failures(replace(record, timelines=[])) == ""


def test_a_burst_lasts_until_its_last_call_ended() -> None:
    outcomes = [
        *(Outcome(1.0, CPU, 0, ms, "hot", None) for ms in (500.0, 2500.0)),
        Outcome(1.0, IO, None, 9000.0, "hot", None),
        Outcome(3.0, CPU, 2, 100.0, None, "no luck"),
    ]
    assert burst_report.lengths(Timeline(SEUSS, 1.0, outcomes), CPU) == [2.5, 0.1]


def test_report_and_plot_of_a_saved_record(record: Burst, tmp_path: pathlib.Path) -> None:
    record.timelines[0].outcomes.append(Outcome(1.0, IO, 1, 5000.0, None, "no luck"))
    record.save(tmp_path)
    calls = sum(len(each.outcomes) for each in record.timelines)
    assert len((tmp_path / "burst.csv").read_text().splitlines()) == 1 + calls
    loaded = Burst.load(tmp_path)
    assert loaded == record
    text = burst_report.render(loaded)
    assert "| burst periods | 32/16/8 s | unconfirmed | 2/1 |" in text
    assert "| 1 | no luck |" in text
    for path in burst_plot.draw(loaded, tmp_path):
        assert path.stat().st_size > 1000


def test_a_pool_that_cannot_run_is_a_row_with_its_reason(
    record: Burst, tmp_path: pathlib.Path
) -> None:
    record.timelines = [each for each in record.timelines if each.system != "podman"]
    record.unavailable["podman"] = "no such program"
    assert "does not run here: no such program" in burst_report.render(record)
    assert [item.passed for item in burst_report.check(record)] == [True] * 2
    assert burst_plot.draw(record, tmp_path)


def test_other_records_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "burst.json").write_text('{"experiment": "cores", "format": 1}')
    with pytest.raises(ValueError, match="no record of the burst"):
        Burst.load(tmp_path)
