"""Argument snapshots of whole machines: the example, exact deltas, and what holds of any call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.errors import PoolClosedError, SettingsError
from orchestrator.function import Function
from orchestrator.machines.guest_memory import memory_of
from orchestrator.paths import Path
from orchestrator.points import split
from orchestrator.settings import Settings
from orchestrator.vm.capture import HeldCapture, resume
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.vm.instance import Answer, Instance
from orchestrator.vm.keeping import Keeping
from orchestrator.vm.node import VmNode
from orchestrator.vm.pool import make_waiting
from orchestrator.vm.restore import Grown, complete
from snapshot_store import Level, PageSet, SnapshotStore
from tests.integration.guests import children, holdings
from tests.integration.runtime.native_runner import NativeRunner
from tests.integration.test_arguments_uc import COUNTING, SEARCH, UNIQUE, result

CLOCK_SLACK_S = 0.05
BUILDING = Function(
    "building",
    "source",
    b"import seuss\n"
    b"def main(args):\n"
    b"    table = [bytes([n % 251]) * 5000 for n in range(args['model'])]\n"
    b"    args = seuss.snapshot_point('model')\n"
    b"    return {'n': len(table), 'at': table[args['at']][0]}\n",
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a store whose base the module's tests share."""
    return Settings(store=tmp_path_factory.mktemp("store"), accelerator="tcg", pool_size=1)


@pytest.fixture
async def orchestrator(shared: Settings) -> AsyncIterator[VmDispatcher]:
    before = holdings()
    async with VmDispatcher(shared) as running:
        yield running
    assert holdings() == before


@pytest.fixture
def native() -> Iterator[NativeRunner]:
    with NativeRunner() as started:
        yield started


async def test_answers_are_those_of_a_run_without_snapshots(
    orchestrator: VmDispatcher, native: NativeRunner
) -> None:
    libraries = [{"one": "ant bee", "two": "bee bee cat"}, {}, {"two": "bee bee cat", "one": "ant"}]
    native.load(SEARCH.code.decode())
    paths = []
    for n in range(9):
        args = {"limit": n % 4, "documents": libraries[n % 3], "query": "bee ant"}
        answer = await orchestrator.invoke(SEARCH, args)
        assert json.dumps(result(answer)) == json.dumps(native.invoke(args).json())
        paths.append(answer.path)
    assert paths == ["cold", "warm", "warm"] + ["resumed"] * 6


async def test_each_call_goes_on_from_the_deepest_point(orchestrator: VmDispatcher) -> None:
    first = await orchestrator.invoke(COUNTING, {"model": "a", "n": 1})
    again = await orchestrator.invoke(COUNTING, {"n": 2, "model": "a"})
    other = await orchestrator.invoke(COUNTING, {"model": "b", "n": 3})
    assert [each.path for each in (first, again, other)] == ["cold", "resumed", "warm"]
    assert first.stdout == "building a\nasked 1\n" and again.stdout == "asked 2\n"
    assert [result(each)["n"] for each in (first, again, other)] == [1, 2, 3]
    for answer in (first, again, other):
        parts = [part for part in answer.phases.to_json().values() if part is not None]
        assert sum(parts) == pytest.approx(answer.latency_ms, rel=0.05, abs=2.0)
    for path in (Path.BOOTED, Path.COLD, Path.WARM):
        asked = await orchestrator.invoke(COUNTING, {"model": "a", "n": 5}, path)
        assert asked.path is path and asked.stdout == "building a\nasked 5\n"
    new = await orchestrator.invoke(COUNTING, {"model": "c", "n": 6}, Path.RESUMED)
    assert (new.path, new.stdout) == (Path.RESUMED, "asked 6\n")
    failed = await orchestrator.invoke(COUNTING, {"model": "bad"}, Path.RESUMED)
    assert failed.path is Path.RESUMED
    assert failed.error is not None and failed.error.message == "ValueError: no such model"
    plain = Function("plain", "source", b"def main(args): return {}")
    with pytest.raises(SettingsError, match="plain has no snapshot point"):
        await orchestrator.invoke(plain, {}, Path.RESUMED)


async def test_first_calls_at_once_take_one_snapshot(
    orchestrator: VmDispatcher, shared: Settings
) -> None:
    fresh = replace(COUNTING, code=COUNTING.code + b"\n\n")
    await orchestrator.invoke(fresh, {"model": "a", "n": 0})
    answers = await asyncio.gather(
        *(orchestrator.invoke(fresh, {"model": "b", "n": n}) for n in range(3))
    )
    assert sorted(each.path for each in answers) == ["resumed", "resumed", "warm"]
    assert [result(each)["n"] for each in answers] == [0, 1, 2]
    await orchestrator.flush()
    with SnapshotStore(shared.store) as store:
        found = store.find(level=Level.ARGUMENT, function=fresh.id)
    assert sorted(each.label for each in found) == ['counting(model="a")', 'counting(model="b")']


async def test_a_new_orchestrator_resumes_from_the_store(shared: Settings) -> None:
    fresh = replace(UNIQUE, code=UNIQUE.code + b"\n\n")
    async with VmDispatcher(shared) as first:
        answers = [result(await first.invoke(fresh, {}))]
    with SnapshotStore(shared.store) as store:
        (manifest,) = store.find(level=Level.ARGUMENT, function=fresh.id)
        (parent,) = store.find(level=Level.FUNCTION, function=fresh.id)
        assert manifest.parent == parent.id and manifest.key is not None
        assert store.verify(manifest.id).ok
    async with VmDispatcher(shared) as second:
        for _ in range(3):
            before = time.time()
            resumed = await second.invoke(fresh, {"n": 1})
            answers.append(result(resumed))
            assert (resumed.path, resumed.snapshot) == (Path.RESUMED, manifest.id)
            assert before - CLOCK_SLACK_S <= answers[-1]["time"] <= time.time() + CLOCK_SLACK_S
    assert all(each["drawn"] == answers[0]["drawn"] for each in answers)
    values = [str(value) for each in answers for value in each["values"]]
    assert len(set(values)) == len(values)
    # Without it the names of the point have to be asked for.
    with SnapshotStore(shared.store) as store:
        store.delete(manifest.id)
    async with VmDispatcher(shared) as third:
        paths = [(await third.invoke(fresh, {})).path for _ in range(2)]
    assert paths == [Path.WARM, Path.RESUMED]


async def test_many_values_do_not_fill_the_store(shared: Settings) -> None:
    fresh = replace(COUNTING, code=COUNTING.code + b"\n\n\n")
    async with VmDispatcher(replace(shared, argument_snapshots=2)) as few:
        for n in range(5):
            await few.invoke(fresh, {"model": str(n), "n": n})
    with SnapshotStore(shared.store) as store:
        assert len(store.find(level=Level.ARGUMENT, function=fresh.id)) == 2
    async with VmDispatcher(replace(shared, argument_snapshots=0)) as without:
        paths = [(await without.invoke(fresh, {"model": "4", "n": 1})).path for _ in range(2)]
        assert paths == [Path.WARM, Path.WARM]


async def test_the_delta_is_what_changed_since_the_function(shared: Settings) -> None:
    async with VmDispatcher(shared) as orchestrator:
        assert (await orchestrator.invoke(BUILDING, {"model": 1, "at": 0}, Path.COLD)).ok
    async with VmNode(shared) as node:
        base = await node.base()
        tail = await Keeping(node).find(base, BUILDING)
        assert tail is not None and tail.pages is not None
        named = split(BUILDING, ("model",), {"model": 300, "at": 299})
        assert named is not None
        ready = await make_waiting(base.origin, node.hardware)
        copy = await make_waiting(base.origin, node.hardware)
        try:
            await ready.machine.stay_paused()
            await complete(ready.machine, tail.stream)
            held = HeldCapture(ready.machine, Grown(base.origin, tail.pages))
            await held.arm()
            assert held.flaw is None
            before = await memory_of(ready.machine)
            await resume(ready.machine)
            instance = Instance(ready.machine)
            await instance.synchronise()
            begun = await instance.begin(named.begin, 30.0)
            assert isinstance(begun, Answer) and begun.content["reached"]
            captured = await held.collect()
            after = await memory_of(ready.machine)
            differ = np.flatnonzero((before != after).any(axis=1))
            inside = captured.pages.numbers < len(after)
            assert captured.fallback is None
            assert np.array_equal(captured.pages.numbers[inside], differ)
            assert np.array_equal(captured.pages.data[inside], after[differ])
            assert 300 < len(differ) < 1000
            # A machine made from both deltas has that memory, and goes on.
            pages = PageSet.merged([tail.pages, captured.pages])
            await copy.machine.stay_paused()
            await complete(copy.machine, base.origin.tail(pages, captured.state))
            assert np.array_equal(await memory_of(copy.machine), after)
            await resume(copy.machine)
            await copy.instance.synchronise()
            answer = await copy.instance.rest(named.rest, 30.0)
            assert answer == {"n": 300, "at": 299 % 251}
        finally:
            await ready.close()
            await copy.close()


async def test_a_machine_stands_at_the_point_used_last(shared: Settings) -> None:
    before = holdings()
    async with VmDispatcher(shared) as orchestrator:
        first = await orchestrator.invoke(COUNTING, {"model": "ahead", "n": 1})
        await orchestrator.prepare(1)
        # One to load a function on, one for any snapshot, and this one.
        started = children() - before[2]
        assert len(started) == 3
        waiting = {ready.machine.pid for ready in (await orchestrator._node.base()).waiting._ready}
        again = await orchestrator.invoke(COUNTING, {"model": "ahead", "n": 2})
        assert (again.path, again.stdout, again.pooled) == (Path.RESUMED, "asked 2\n", True)
        assert waiting <= children()
        # One that died is found out, and the call goes on from the snapshot all the same.
        await orchestrator.prepare(1)
        for pid in children() - before[2] - started:
            os.kill(pid, signal.SIGKILL)
        third = await orchestrator.invoke(COUNTING, {"model": "ahead", "n": 3})
        assert (third.path, third.stdout) == (Path.RESUMED, "asked 3\n")
        assert [result(each)["n"] for each in (first, again, third)] == [1, 2, 3]
        # Each is as unique and as timely as any other.
        values = []
        for _ in range(4):
            began = time.time()
            told = result(await orchestrator.invoke(UNIQUE, {}))
            assert began - CLOCK_SLACK_S <= told["time"] <= time.time() + CLOCK_SLACK_S
            values += told["values"]
            await orchestrator.prepare(1)
        assert len({*map(str, values)}) == len(values)
    del orchestrator  # it refers to snapshots it read
    assert holdings() == before


async def test_leaving_ends_the_calls_under_way(shared: Settings) -> None:
    before = holdings()
    endless = Function("endless", "source", b"def main(args):\n    while True: pass")
    async with VmDispatcher(shared) as orchestrator:
        calls = [
            asyncio.create_task(orchestrator.invoke(function, {}, path))
            for function, path in (
                (endless, Path.COLD),
                (endless, Path.AUTO),
                (endless, Path.BOOTED),
                (COUNTING, Path.AUTO),
            )
        ]
        await asyncio.sleep(0.7)
    for call in calls:
        if call is calls[-1] and call.done() and not call.exception():
            continue  # it was quicker
        with pytest.raises(PoolClosedError, match="The dispatcher was closed"):
            await call
    with pytest.raises(PoolClosedError):
        await orchestrator.invoke(COUNTING, {})
    del calls, call, orchestrator  # they refer to snapshots they read
    assert holdings() == before
