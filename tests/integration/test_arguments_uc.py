"""Argument snapshots in contexts of one node: the example, and what holds for any function."""

from __future__ import annotations

import asyncio
import json
import pathlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from orchestrator.errors import SettingsError
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from snapshot_store import Level, SnapshotStore
from tests.integration.conftest import BUILD, ROOT
from tests.integration.guests import holdings
from tests.integration.runtime.native_runner import NativeRunner

IMAGE = BUILD / "ebbrt-python.elf"
SEARCH = Function.from_file(ROOT / "examples" / "search.py")
CLOCK_SLACK_S = 0.05
WITNESS = Function(
    "witness",
    "source",
    b"""
import seuss

def main(args):
    early = [repr(args.get("model", "none")), "model" in args, repr(args.get("depth"))]
    if early[2] == "'never'":
        return {"early": early}
    return {"early": early, "all": seuss.snapshot_point("model", "depth"), "list": [*args.items()]}
""",
)
UNIQUE = Function(
    "unique",
    "source",
    b"""
import os, random, time, uuid
import seuss

def main(args):
    drawn = [str(uuid.uuid4()), random.random()]
    seuss.snapshot_point()
    return {"time": time.time(), "drawn": drawn,
            "values": [str(uuid.uuid4()), os.urandom(16).hex(), random.random()]}
""",
)
COUNTING = Function(
    "counting",
    "source",
    b"""
import seuss

def main(args):
    print("building", args["model"])
    if args["model"] == "bad":
        raise ValueError("no such model")
    args = seuss.snapshot_point("model")
    print("asked", args["n"])
    return {"n": args["n"]}
""",
)
WORDS = ["ant", "bee", "cat", "Dog", "\u00e9lan", "fox fox", ""]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, -0.0, 1.0]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SEARCHES = st.fixed_dictionaries(
    {},
    optional={
        "documents": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "query": TEXTS,
        "limit": st.integers(0, 3),
    },
)
WITNESSED = st.dictionaries(
    st.sampled_from(["model", "depth", "query", "", "n"]), VALUES | st.just("never"), max_size=5
)


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(
        image=IMAGE, store=tmp_path / "store", accelerator="tcg", isolation="uc", memory_mib=192
    )


@pytest.fixture
async def node(settings: Settings) -> AsyncIterator[UcDispatcher]:
    before = holdings()
    async with UcDispatcher(settings) as running:
        yield running
    assert holdings() == before


@pytest.fixture
def native() -> Iterator[NativeRunner]:
    with NativeRunner() as started:
        yield started


def result(invocation: Invocation) -> dict[str, Any]:
    assert invocation.result is not None, invocation.error
    return invocation.result


async def kernel(node: UcDispatcher) -> dict[str, Any]:
    return await (await node.life()).node.status()


@pytest.mark.parametrize(
    ("function", "arguments", "count"), [(SEARCH, SEARCHES, 500), (WITNESS, WITNESSED, 200)]
)
def test_answers_are_those_of_a_run_without_snapshots(
    settings: Settings,
    native: NativeRunner,
    function: Function,
    arguments: st.SearchStrategy[dict[str, Any]],
    count: int,
) -> None:
    native.load(function.code.decode())
    paths: dict[Path, int] = {}
    with asyncio.Runner() as loop:
        node = loop.run(UcDispatcher(settings).__aenter__())

        @given(arguments)
        @limits(
            max_examples=count,
            phases=[Phase.generate],
        )
        def same(args: dict[str, Any]) -> None:
            for _ in range(2):
                here = loop.run(node.invoke(function, args))
                assert json.dumps(result(here)) == json.dumps(native.invoke(args).json())
                paths[here.path] = paths.get(here.path, 0) + 1

        try:
            same()
        finally:
            loop.run(node.__aexit__(None, None, None))
    # All ways were gone, and many snapshots had to go for others.
    assert paths[Path.COLD] == 1 and min(paths[Path.WARM], paths[Path.RESUMED]) > count / 10


async def test_each_call_goes_on_from_the_deepest_point(node: UcDispatcher) -> None:
    first = await node.invoke(COUNTING, {"model": "a", "n": 1})
    again = await node.invoke(COUNTING, {"n": 2, "model": "a"})
    other = await node.invoke(COUNTING, {"model": "b", "n": 3})
    back = await node.invoke(COUNTING, {"model": "a", "n": 4})
    answers = (first, again, other, back)
    assert [each.path for each in answers] == ["cold", "resumed", "warm", "resumed"]
    assert [result(each)["n"] for each in answers] == [1, 2, 3, 4]
    assert first.stdout == "building a\nasked 1\n" and again.stdout == "asked 2\n"
    # What is asked for is what is done, whatever else there is.
    for path in (Path.BOOTED, Path.COLD, Path.WARM, Path.HOT):
        asked = await node.invoke(COUNTING, {"model": "a", "n": 5}, path)
        assert asked.path is path and asked.stdout == "building a\nasked 5\n"
    assert (await node.invoke(COUNTING, {"model": "a", "n": 6})).path is Path.RESUMED


async def test_resumed_can_be_asked_for(node: UcDispatcher) -> None:
    new = await node.invoke(COUNTING, {"model": "a", "n": 1}, Path.RESUMED)
    assert (new.path, new.stdout) == (Path.RESUMED, "asked 1\n")
    failed = await node.invoke(COUNTING, {"model": "bad", "n": 1}, Path.RESUMED)
    assert failed.path is Path.RESUMED
    assert failed.error is not None and failed.error.message == "ValueError: no such model"
    never = await node.invoke(WITNESS, {"depth": "never"}, Path.RESUMED)
    assert never.path is Path.WARM and result(never)["early"][2] == "'never'"
    plain = Function("plain", "source", b"def main(args): return {}")
    with pytest.raises(SettingsError, match="plain has no snapshot point"):
        await node.invoke(plain, {}, Path.RESUMED)


async def test_first_calls_at_once_take_one_snapshot(node: UcDispatcher) -> None:
    await node.invoke(COUNTING, {"model": "a", "n": 0})
    captures = (await kernel(node))["captures"]
    answers = await asyncio.gather(
        *(node.invoke(COUNTING, {"model": "b", "n": n}) for n in range(8))
    )
    assert (await kernel(node))["captures"] == captures + 1
    assert sorted(each.path for each in answers) == ["resumed"] * 7 + ["warm"]
    assert [result(each)["n"] for each in answers] == [*range(8)]
    failing = await asyncio.gather(
        *(node.invoke(COUNTING, {"model": "bad", "n": n}) for n in range(4))
    )
    assert all(each.error is not None and each.error.kind == "exception" for each in failing)
    # Brand-new functions as well.
    fresh = replace(COUNTING, code=COUNTING.code + b"\n")
    captures = (await kernel(node))["captures"]
    answers = await asyncio.gather(*(node.invoke(fresh, {"model": "a", "n": n}) for n in range(4)))
    assert sorted(each.path for each in answers) == ["cold", "resumed", "resumed", "resumed"]
    assert (await kernel(node))["captures"] == captures + 2


async def test_copies_differ_and_tell_true_time(node: UcDispatcher) -> None:
    answers = [result(await node.invoke(UNIQUE, {"n": n})) for n in range(6)]
    first = answers[0]["drawn"]
    assert all(each["drawn"] == first for each in answers)
    values = [str(value) for each in answers for value in each["values"]]
    assert len({*values, *map(str, first)}) == len(values) + 2
    for _ in range(3):
        before = time.time()
        told = result(await node.invoke(UNIQUE, {}))["time"]
        assert before - CLOCK_SLACK_S <= told <= time.time() + CLOCK_SLACK_S


async def test_a_new_node_resumes_from_the_store(settings: Settings) -> None:
    async with UcDispatcher(settings) as first:
        await first.invoke(COUNTING, {"model": "a", "n": 1})
        await first.invoke(UNIQUE, {})
    with SnapshotStore(settings.store) as store:
        found = {each.label: each for each in store.find(level=Level.ARGUMENT)}
        assert found.keys() == {'counting(model="a")', "unique()"}
        manifest = found['counting(model="a")']
        assert manifest.function == COUNTING.id and str(manifest.key).startswith('["model"]:')
        (parent,) = store.find(level=Level.FUNCTION, function=COUNTING.id)
        assert manifest.parent == parent.id and store.verify(manifest.id).ok
    async with UcDispatcher(settings) as second:
        resumed = await second.invoke(COUNTING, {"model": "a", "n": 2})
        assert (resumed.path, resumed.snapshot) == (Path.RESUMED, manifest.id)
        assert result(resumed) == {"n": 2} and resumed.stdout == "asked 2\n"
        values = [str(result(await second.invoke(UNIQUE, {}))["values"]) for _ in range(3)]
        assert len(set(values)) == 3
    # Without it the names of the point have to be asked for.
    with SnapshotStore(settings.store) as store:
        for each in store.find(level=Level.ARGUMENT):
            store.delete(each.id)
    async with UcDispatcher(settings) as third:
        answers = [await third.invoke(COUNTING, {"model": "a", "n": n}) for n in range(2)]
        assert [each.path for each in answers] == [Path.WARM, Path.RESUMED]


async def test_many_values_do_not_fill_node_and_store(settings: Settings) -> None:
    few = replace(settings, argument_snapshots=3)
    async with UcDispatcher(few) as node:
        for n in range(12):
            await node.invoke(COUNTING, {"model": str(n), "n": n})
            await node.invoke(COUNTING, {"model": "0", "n": n})
            if n % 4 == 3:
                await node.flush()
        status = await kernel(node)
        # The base, the function's, and three at its point.
        assert status["snapshots"] == 5
        await node.flush()
        with SnapshotStore(settings.store) as store:
            kept = {each.label for each in store.find(level=Level.ARGUMENT)}
        assert len(kept) <= 3 and 'counting(model="0")' in kept
    async with UcDispatcher(replace(settings, argument_snapshots=0)) as without:
        answers = [await without.invoke(COUNTING, {"model": "0", "n": n}) for n in range(3)]
        assert [each.path for each in answers] == ["warm", "hot", "hot"]


async def test_a_snapshot_holds_no_other_argument(node: UcDispatcher) -> None:
    # The contexts that served a call are not captured, so nothing of it can be in a snapshot.
    secret = "correct horse battery staple " * 40
    await node.invoke(COUNTING, {"model": "a", "n": secret})
    await node.invoke(COUNTING, {"model": "b", "n": secret})
    await node.flush()
    with SnapshotStore(node.settings.store) as store:
        for each in store.list():
            assert secret[:29].encode() not in store.open(each.id).pages().data.tobytes()
        named = next(each for each in store.find(level=Level.ARGUMENT))
        assert b"building" in store.open(named.id).merged_pages().data.tobytes()


async def test_time_limit_and_death_past_the_point(node: UcDispatcher) -> None:
    harmful = Function(
        "harmful",
        "source",
        b"import os, seuss\n"
        b"def main(args):\n"
        b"    if args['model'] == 'spin':\n"
        b"        while True: pass\n"
        b"    args = seuss.snapshot_point('model')\n"
        b"    if args['do'] == 'spin':\n"
        b"        while True: pass\n"
        b"    if args['do'] == 'exit': os._exit(3)\n"
        b"    return {}\n",
    )
    for _ in range(2):
        spinning = await node.invoke(harmful, {"model": "a", "do": "spin"}, timeout_s=0.5)
        assert spinning.error is not None and spinning.error.kind == "timeout"
        gone = await node.invoke(harmful, {"model": "a", "do": "exit"})
        assert gone.error is not None and gone.error.kind == "exit"
    early = await node.invoke(harmful, {"model": "spin"}, timeout_s=0.5)
    assert early.error is not None and early.error.kind == "timeout"
    well = await node.invoke(harmful, {"model": "a", "do": "nothing"})
    assert (well.path, well.result) == (Path.RESUMED, {})


async def test_cancelled_calls_leave_nothing(node: UcDispatcher) -> None:
    slow = Function(
        "slow",
        "source",
        b"import time, seuss\n"
        b"def main(args):\n"
        b"    args = seuss.snapshot_point('model')\n"
        b"    time.sleep(args['s'])\n"
        b"    return {}\n",
    )
    await node.invoke(slow, {"model": 0, "s": 0})
    await node.flush()
    for n in range(6):
        call = asyncio.create_task(node.invoke(slow, {"model": n % 2, "s": 0.5}))
        await asyncio.sleep(0.01 * n)
        call.cancel()
        await asyncio.wait((call,))
    answer = await node.invoke(slow, {"model": 1, "s": 0})
    assert answer.ok
    await node.flush()
    for _ in range(100):
        status = await kernel(node)
        if status["contexts"] == 0:
            break
        await asyncio.sleep(0.02)
    assert (status["contexts"], status["snapshots"]) == (0, 4)
