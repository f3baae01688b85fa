"""Invocations in a real worker: answers, paths, failures of functions, deaths of workers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pathlib
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.errors import FunctionFileError, MicroError, SettingsError
from orchestrator.invocation import Invocation
from orchestrator.micro.dispatcher import MicroDispatcher
from orchestrator.micro.function import RustFunction
from orchestrator.micro.settings import MicroSettings, usual_cores
from orchestrator.micro.toolchain import Toolchain
from orchestrator.paths import Path
from tests.integration.micro.conftest import hostile, sample

HEAD = b"use micro::prelude::*;\n"
DEEP = RustFunction(
    "deep",
    HEAD
    + b"""
fn deeper(level: u64) -> u64 {
    let here = core::hint::spin_loop as usize as u64 ^ level;
    if level == u64::MAX { here } else { deeper(level + 1).rotate_left(3) ^ here }
}
pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    Ok(format!("{{\\"x\\": {}}}", deeper(0)).into_bytes())
}
""",
)
ALIGNED = RustFunction(
    "aligned",
    HEAD
    + b"""
#[repr(align(536870912))]
struct Nothing;
#[inline(never)]
fn far(input: &[u8], level: usize) -> usize {
    let nothing = Nothing;
    let mut bytes = [level as u8; 64];
    if level > 0 { return far(input, level - 1); }
    let at = (&mut bytes as *mut [u8; 64] as usize) ^ (&nothing as *const Nothing as usize >> 60);
    bytes[at % 64] = 1;
    at + bytes[input.len() % 64] as usize
}
pub fn main(input: &[u8]) -> Result<Vec<u8>, String> {
    Ok(format!("{{\\"x\\": {}}}", far(input, 3)).into_bytes())
}
""",
)
"""Frames that the compiler aligns: each lies up to 2^29 bytes below the one before."""
HOG = RustFunction(
    "hog",
    HEAD
    + b"""
pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    loop { all.push(vec![1_u8; 1 << 16]); }
}
""",
)
COUNTER = RustFunction(
    "counter",
    HEAD
    + b"""
use core::sync::atomic::{AtomicU64, Ordering};
static CALLS: AtomicU64 = AtomicU64::new(0);
pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    if args.len() > 2 { panic!("{} calls", calls) }
    Ok(format!("{{\\"calls\\": {}}}", calls).into_bytes())
}
""",
)
FAILING = RustFunction(
    "failing",
    HEAD + b'pub fn main(_: &[u8]) -> Result<Vec<u8>, String> { Err("no: \\u{e9}".to_string()) }',
)


def returning(expression: str) -> RustFunction:
    text = f"pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {{ Ok({expression}) }}"
    return RustFunction("returning", HEAD + text.encode())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def kind(invocation: Invocation) -> str | None:
    return invocation.error.kind if invocation.error else None


async def test_timestamp(dispatcher: MicroDispatcher) -> None:
    before = time.time_ns()
    invocation = await dispatcher.invoke(sample("timestamp"), {})
    assert invocation.result is not None
    assert before <= invocation.result["time_ns"] <= time.time_ns()
    assert (invocation.isolation, invocation.accelerator) == ("language", "native")


async def test_sha512(dispatcher: MicroDispatcher) -> None:
    for size in (1, 64, 5000):
        args = {"text": "x" * size}
        invocation = await dispatcher.invoke(sample("sha512"), args)
        digest = hashlib.sha512(json.dumps(args).encode()).hexdigest()
        assert invocation.result == {"sha512": digest}


async def test_json(dispatcher: MicroDispatcher) -> None:
    orders = [{"customer": f"c{n % 7}", "cents": n} for n in range(500)]
    invocation = await dispatcher.invoke(sample("json"), {"orders": orders})
    totals = {c: sum(n for n in range(500) if n % 7 == c) for c in range(7)}
    assert invocation.result is not None
    found = {each["customer"]: each["cents"] for each in invocation.result["customers"]}
    assert found == {f"c{c}": cents for c, cents in totals.items()}
    cents = [each["cents"] for each in invocation.result["customers"]]
    assert cents == sorted(cents, reverse=True)


async def test_paths(dispatcher: MicroDispatcher) -> None:
    function = sample("timestamp")
    assert await dispatcher.starting_point(function) is Path.COLD
    taken = [
        (await dispatcher.invoke(function, {}, path)).path
        for path in (Path.WARM, Path.COLD, Path.COLD, Path.AUTO, Path.WARM)
    ]
    assert taken == [Path.WARM, Path.COLD, Path.COLD, Path.WARM, Path.WARM]
    assert await dispatcher.starting_point(function) is Path.WARM
    for path in (Path.BOOTED, Path.HOT):
        with pytest.raises(SettingsError, match="cold and warm"):
            await dispatcher.invoke(function, {}, path)


async def test_statics_stay_between_calls_and_not_after_failures(
    dispatcher: MicroDispatcher,
) -> None:
    async def calls() -> object:
        return (await dispatcher.invoke(COUNTER, {})).result

    assert [await calls() for _ in range(3)] == [{"calls": n} for n in (1, 2, 3)]
    failed = await dispatcher.invoke(COUNTER, {"now": True})
    assert failed.error is not None and "4 calls" in failed.error.message
    assert await calls() == {"calls": 1}


@pytest.mark.parametrize(
    ("function", "args", "expected", "part"),
    [
        (sample("panic"), {}, "exception", "asked to, with 2 bytes"),
        (sample("json"), {"orders": 1}, "exception", "invalid type"),
        (sample("spin"), {}, "timeout", "budget of 0.05 s"),
        (FAILING, {}, "exception", "no: \xe9"),
        (DEEP, {}, "fault", "stack"),
        (ALIGNED, {}, "fault", "stack"),
        (HOG, {}, "memory-limit", "memory"),
        (returning("vec![b'x'; 4 << 20]"), {}, "result-too-large", "larger"),
        (returning('b"[1]".to_vec()'), {}, "bad-result", "no JSON object"),
        (returning("vec![0xff]"), {}, "bad-result", "no JSON"),
        (
            returning("vec![1_u8, 2][..].iter().map(|x| x / (x - x)).collect()"),
            {},
            "exception",
            "divide by zero",
        ),
        (returning("vec![250_u8 + args_len(6)]"), {}, "exception", "overflow"),
        (sample("timestamp"), {"x": "y" * (2 << 20)}, "args-too-large", "fit into the channel"),
        (sample("timestamp"), {"x": {1}}, "bad-request", "no JSON object"),
    ],
)
async def test_failures_are_told_and_harm_nobody(
    dispatcher: MicroDispatcher,
    function: RustFunction,
    args: dict[str, object],
    expected: str,
    part: str,
) -> None:
    if b"args_len" in function.code:
        helper = b"\nfn args_len(n: u8) -> u8 { core::hint::spin_loop(); n }\n"
        function = RustFunction(function.name, function.code + helper)
    pid = dispatcher.workers[0].pid
    for _ in range(2):
        limit = 0.05 if expected == "timeout" else 20.0
        failed = await dispatcher.invoke(function, args, timeout_s=limit)
        assert failed.error is not None
        assert (failed.error.kind, part in failed.error.message) == (expected, True), failed.error
    assert (await dispatcher.invoke(sample("timestamp"), {})).ok
    assert dispatcher.workers[0].pid == pid


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "expected", "part"),
    [
        ("divide", "fault", "SIGFPE"),
        ("abort", "fault", "aborted"),
        ("backwards", "timeout", "budget"),
    ],
)
async def test_traps_harm_nobody(
    dispatcher: MicroDispatcher, name: str, expected: str, part: str
) -> None:
    pid = dispatcher.workers[0].pid
    for _ in range(3):
        failed = await dispatcher.invoke(hostile(name), {}, timeout_s=0.05)
        assert failed.error is not None and part in failed.error.message
        assert failed.error.kind == expected
        assert (await dispatcher.invoke(sample("json"), {"orders": []})).ok
    assert dispatcher.workers[0].pid == pid


@pytest.mark.usefixtures("unchecked")
async def test_wild_writes_cost_the_worker_and_no_other_request(
    dispatcher: MicroDispatcher,
) -> None:
    functions = [hostile("wild") if n % 10 == 3 else sample("timestamp") for n in range(60)]
    outcomes = await asyncio.gather(*(dispatcher.invoke(each, {}) for each in functions))
    for function, outcome in zip(functions, outcomes, strict=True):
        assert kind(outcome) == ("fault" if function.name == "wild" else None)
    assert dispatcher.workers[0].deaths["a function read or wrote where it may not"] >= 1
    assert (await dispatcher.invoke(sample("timestamp"), {})).ok


@pytest.mark.usefixtures("unchecked")
async def test_stuck_outside_of_its_code_costs_the_worker(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy core the worker takes long to give up by itself.
    monkeypatch.setattr("orchestrator.micro.worker.GRACE_S", 20.0)
    settings = MicroSettings(usual_cores(), quantum_us=200)
    async with MicroDispatcher(settings, toolchain) as dispatcher:
        stuck, other = await asyncio.gather(
            dispatcher.invoke(hostile("stuck"), {}, timeout_s=0.01),
            dispatcher.invoke(sample("timestamp"), {}),
        )
        assert kind(stuck) == "node-died"
        assert other.ok
        (why,) = dispatcher.workers[0].deaths
        assert "cannot be stopped safely" in why


async def test_killed_worker_is_replaced_and_its_queue_served(
    dispatcher: MicroDispatcher,
) -> None:
    worker = dispatcher.workers[0]
    spinning = asyncio.create_task(dispatcher.invoke(sample("spin"), {}, timeout_s=60))
    async with asyncio.timeout(50):
        await until(lambda: worker.under_way == 1)
        waiting = [
            asyncio.create_task(dispatcher.invoke(sample("timestamp"), {})) for _ in range(20)
        ]
        await until(lambda: worker.under_way == 21)
    os.kill(worker.pid, signal.SIGKILL)
    assert kind(await spinning) == "node-died"
    assert all(outcome.ok for outcome in await asyncio.gather(*waiting))
    assert worker.deaths == {"killed by SIGKILL": 1}


async def test_stopped_worker_does_not_keep_its_queue(
    dispatcher: MicroDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.micro.worker.GRACE_S", 0.1)
    worker = dispatcher.workers[0]
    os.kill(worker.pid, signal.SIGSTOP)
    async with asyncio.timeout(30):
        assert (await dispatcher.invoke(sample("timestamp"), {}, timeout_s=0.2)).ok
    assert worker.deaths["no answer in time"] >= 1


DEAF = """#!/usr/bin/python3
import mmap, os, sys, time
mmap.mmap(int(sys.argv[2]), 0)[24] = 1
os.close(2)
time.sleep(100)
"""
"""Says that it serves, and does not."""


async def test_deaf_workers_are_given_up(
    toolchain: Toolchain, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.micro.worker.GRACE_S", 0.05)
    monkeypatch.setattr("orchestrator.micro.worker.SHORT_LIFE_S", 0.0)
    deaf = tmp_path / "worker"
    deaf.write_text(DEAF)
    deaf.chmod(0o755)
    toolchain = replace(toolchain, worker=deaf)
    async with MicroDispatcher(MicroSettings(usual_cores()), toolchain) as dispatcher:
        with pytest.raises(MicroError, match="again and again: no answer in time"):
            async with asyncio.timeout(50):
                await dispatcher.invoke(sample("timestamp"), {}, timeout_s=0.05)


async def test_callers_are_told_when_it_ends(toolchain: Toolchain) -> None:
    async with asyncio.timeout(50):
        async with MicroDispatcher(MicroSettings(usual_cores()), toolchain) as dispatcher:
            worker = dispatcher.workers[0]
            spin = await dispatcher.invoke(sample("spin"), {}, timeout_s=0.001)
            assert kind(spin) == "timeout"
            # More than the channel has slots: the last ones wait for room.
            calls = [
                asyncio.create_task(dispatcher.invoke(sample("spin"), {}, timeout_s=50))
                for _ in range(70)
            ]
            await until(lambda: worker.under_way == 64)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {MicroError}


async def test_broken_worker_is_left_out(toolchain: Toolchain) -> None:
    async with MicroDispatcher(MicroSettings(usual_cores() * 2), toolchain) as dispatcher:
        dispatcher.workers[0]._give_up("It was asked to.")
        assert all([(await dispatcher.invoke(sample("timestamp"), {})).ok for _ in range(3)])
        dispatcher.workers[1]._give_up("It was asked to.")
        for _ in range(2):
            with pytest.raises(MicroError, match="asked to") as caught:
                await dispatcher.invoke(sample("timestamp"), {})
            # One exception for all callers would grow with each of them.
            assert len(traceback.extract_tb(caught.value.__traceback__)) < 6


async def test_no_budget_is_too_small(dispatcher: MicroDispatcher) -> None:
    assert kind(await dispatcher.invoke(sample("spin"), {}, timeout_s=1e-12)) == "timeout"


async def test_successor_has_nothing_loaded(dispatcher: MicroDispatcher) -> None:
    function = sample("timestamp")
    assert (await dispatcher.invoke(function, {}, Path.WARM)).path is Path.WARM
    worker = dispatcher.workers[0]
    os.kill(worker.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        await until(lambda: worker.lives == 2)
    assert await dispatcher.starting_point(function) is Path.COLD
    assert (await dispatcher.invoke(function, {}, Path.WARM)).path is Path.WARM


async def test_ticks_come_whatever_signals_the_dispatcher_blocks(toolchain: Toolchain) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGSYS})
    try:
        async with MicroDispatcher(MicroSettings(usual_cores()), toolchain) as dispatcher:
            outcome = await dispatcher.invoke(sample("spin"), {}, timeout_s=0.02)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert kind(outcome) == "timeout"


async def test_without_a_tick_the_watch_stops_functions(toolchain: Toolchain) -> None:
    async with MicroDispatcher(MicroSettings(usual_cores(), quantum_us=0), toolchain) as running:
        outcome = await running.invoke(sample("spin"), {}, timeout_s=0.05)
        assert kind(outcome) == "node-died"
        assert (await running.invoke(sample("timestamp"), {})).ok


async def test_a_calls_heap_is_given_back(dispatcher: MicroDispatcher) -> None:
    def resident() -> int:
        pages = pathlib.Path(f"/proc/{dispatcher.workers[0].pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    await dispatcher.invoke(sample("timestamp"), {})
    before = resident()
    for _ in range(2):
        assert kind(await dispatcher.invoke(HOG, {})) == "memory-limit"
        async with asyncio.timeout(30):
            await until(lambda: resident() < before + (2 << 20))


async def test_a_worker_on_each_core(toolchain: Toolchain) -> None:
    cores = tuple(sorted(os.sched_getaffinity(0))[:2])
    async with MicroDispatcher(MicroSettings(cores), toolchain) as dispatcher:
        for worker, core in zip(dispatcher.workers, cores, strict=True):
            assert os.sched_getaffinity(worker.pid) == {core}
        outcomes = await asyncio.gather(
            *(dispatcher.invoke(sample("timestamp"), {}) for _ in range(200))
        )
        assert all(outcome.ok for outcome in outcomes)


async def test_refused_functions_are_errors(dispatcher: MicroDispatcher) -> None:
    with pytest.raises(FunctionFileError, match="`unsafe`"):
        await dispatcher.invoke(hostile("wild"), {})
    assert (await dispatcher.invoke(sample("timestamp"), {})).ok


async def test_missing_library_is_told(
    dispatcher: MicroDispatcher, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    gone = tmp_path / "gone.so"
    monkeypatch.setattr("orchestrator.micro.dispatcher.build", lambda *_: gone)
    failed = await dispatcher.invoke(sample("timestamp"), {})
    assert failed.error is not None
    assert (failed.error.kind, "gone.so" in failed.error.message) == ("import-error", True)


async def test_other_mechanisms_library_is_refused(toolchain: Toolchain) -> None:
    settings = MicroSettings(usual_cores(), mechanism="unwind")
    async with MicroDispatcher(settings, toolchain) as dispatcher:
        stopped = await dispatcher.invoke(sample("spin"), {}, timeout_s=0.05)
        assert kind(stopped) == "timeout"
        panicked = await dispatcher.invoke(sample("panic"), {})
        assert panicked.error is not None
        assert panicked.error.message == "asked to, with 2 bytes"
        assert (await dispatcher.invoke(sample("timestamp"), {})).ok


async def test_cancelled_calls_leave_the_channel_whole(dispatcher: MicroDispatcher) -> None:
    await dispatcher.invoke(sample("timestamp"), {})
    calls = [
        asyncio.create_task(dispatcher.invoke(sample("spin"), {}, timeout_s=0.2)) for _ in range(5)
    ]
    await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    # Nobody waits for a call that nobody waits for.
    call = asyncio.create_task(dispatcher.invoke(sample("spin"), {}, timeout_s=1))
    await until(lambda: dispatcher.workers[0].under_way == 1)
    call.cancel()
    await asyncio.wait([call])
    assert dispatcher.workers[0].under_way == 1
    assert (await dispatcher.invoke(sample("timestamp"), {})).ok


def descriptors() -> set[pathlib.Path]:
    return set(pathlib.Path("/proc/self/fd").iterdir())


async def test_nothing_is_left_behind(toolchain: Toolchain) -> None:
    before = descriptors()
    async with MicroDispatcher(MicroSettings(usual_cores()), toolchain) as dispatcher:
        await dispatcher.invoke(sample("timestamp"), {})
        pid = dispatcher.workers[0].pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert descriptors() == before


async def test_broken_worker_is_an_error(toolchain: Toolchain, tmp_path: pathlib.Path) -> None:
    broken = tmp_path / "worker"
    broken.write_text("#!/bin/sh\necho no good >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(MicroError, match="cannot be started") as caught:
        async with MicroDispatcher(MicroSettings(usual_cores()), replace(toolchain, worker=broken)):
            pass
    assert "no good" in caught.value.log_tail
