"""Invocations in contexts of one node, with the real image."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import time
from collections.abc import AsyncIterator

import pytest

from orchestrator.errors import SettingsError
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.multiplexer import Reply
from orchestrator.uc.node import UcNode
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.wire import SNAPSHOT
from tests.integration.conftest import BUILD
from tests.integration.guests import holdings

IMAGE = BUILD / "ebbrt-python.elf"
CLOCK_SLACK_S = 0.05
DEPLOYS = 200
STACK_FRAMES = 4
MOST_STACKS = 4
"""Fewer frames than twenty contexts would leave if each left one."""
FAILURES = 500


def function(code: str) -> Function:
    return Function("function", "source", code.encode())


ECHO = function("""
import hashlib, json
COUNT = [0]

def main(args):
    COUNT[0] += 1
    print("calls", COUNT[0])
    return {"echo": args, "digest": hashlib.sha256(json.dumps(args).encode()).hexdigest()}
""")
UNIQUE = function("""
import os, random, tempfile, time, uuid

def main(args):
    return {"time": time.time(), "values": [str(uuid.uuid4()), os.urandom(16).hex(),
        repr(random.random()), random.SystemRandom().getrandbits(64)]}
""")
HARMFUL = function("""
import os

def main(args):
    what = args["what"]
    if what == "fault":
        # A constant that does not exist: the interpreter follows a wild pointer.
        exec((lambda: 0).__code__.replace(co_code=bytes([100, 255, 100, 254, 83, 0]), co_consts=()))
    if what == "exit":
        os._exit(3)
    if what == "spin":
        while True:
            pass
    if what == "memory":
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    if what == "raise":
        raise ValueError("asked for")
    return {}
""")


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(
        image=IMAGE,
        store=tmp_path / "store",
        accelerator="tcg",
        isolation="uc",
        memory_mib=256,
        timeout_s=20.0,
    )


@pytest.fixture
async def dispatcher(settings: Settings) -> AsyncIterator[UcDispatcher]:
    """A dispatcher with its node up; whatever a test does with it, nothing may be left."""
    before = holdings()
    async with UcDispatcher(settings) as running:
        await running.ensure_base()
        yield running
    assert holdings() == before


async def test_every_path_gives_the_same_answer(dispatcher: UcDispatcher) -> None:
    arguments = {"text": "äöü", "numbers": [1, 2.5, None]}
    paths = (Path.AUTO, Path.AUTO, Path.WARM, Path.HOT, Path.COLD, Path.BOOTED)
    answers = [await dispatcher.invoke(ECHO, arguments, path) for path in paths]
    taken = [answer.path for answer in answers]
    assert taken == [Path.COLD, Path.HOT, Path.WARM, Path.HOT, Path.COLD, Path.BOOTED]
    assert all(answer.ok for answer in answers)
    results = [answer.result for answer in answers]
    assert results == [results[0]] * len(results)
    # A hot context has a past; all others begin at the import.
    calls = [int(answer.stdout.split()[1]) for answer in answers]
    assert calls == [1, 2, 1, 2, 1, 1]


async def test_no_two_deploys_draw_the_same(dispatcher: UcDispatcher) -> None:
    seen: set[object] = set()
    for number in range(DEPLOYS):
        path = (Path.WARM, Path.COLD)[number % 20 == 0]
        before = time.time()
        answer = await dispatcher.invoke(UNIQUE, {}, path)
        after = time.time()
        assert answer.result is not None
        assert before - CLOCK_SLACK_S <= answer.result["time"] <= after + CLOCK_SLACK_S
        seen.update(answer.result["values"])
    assert len(seen) == 4 * DEPLOYS


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("fault", "fault"),
        ("exit", "exit"),
        ("spin", "timeout"),
        ("memory", "memory-limit"),
        ("raise", "exception"),
    ],
)
async def test_one_context_fails_alone(dispatcher: UcDispatcher, what: str, kind: str) -> None:
    before = await dispatcher.invoke(ECHO, {"n": 1})
    # Others must come to their end first, on a busy machine too.
    limit = 1.0 if what == "spin" else 20.0
    harmful = dispatcher.invoke(HARMFUL, {"what": what}, timeout_s=limit)
    neighbour = dispatcher.invoke(ECHO, {"n": 1})
    failed, beside = await asyncio.gather(harmful, neighbour)
    after = await dispatcher.invoke(ECHO, {"n": 1}, Path.HOT)
    assert failed.error is not None and failed.error.kind == kind
    assert before.result == beside.result == after.result


async def quiet(node: UcNode, contexts: int = 0) -> int:
    """Wait until so many UCs are left, none of them busy; return how many frames are free then."""
    for _ in range(200):
        listed = await node.list()
        if listed["context_count"] == contexts and not any(
            context["busy"] for context in listed["contexts"]
        ):
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError(f"still there: {listed}")
    return await node.free_frames()


async def test_memory_returns_when_contexts_end(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    node = life.node
    # The first use of a path may fill the kernel's own caches.
    for _ in range(2):
        replies = [await node.load(SNAPSHOT | life.base, ECHO, 20.0) for _ in range(20)]
        await asyncio.gather(*(node.end(reply.context) for reply in replies))
    before = await quiet(node)
    for _ in range(3):
        replies = [await node.load(SNAPSHOT | life.base, ECHO, 20.0) for _ in range(20)]
        assert all(reply.error is None for reply in replies)
        assert await node.free_frames() < before
        await asyncio.gather(*(node.end(reply.context) for reply in replies))
        # Threads that run at the same time for the first time leave their stacks in the pool.
        assert 0 <= before - await node.free_frames() <= MOST_STACKS * STACK_FRAMES


async def test_a_node_survives_failures_in_a_row(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    assert (await dispatcher.invoke(HARMFUL, {"what": "none"})).ok
    for _ in range(FAILURES):
        answer = await dispatcher.invoke(HARMFUL, {"what": "exit"}, Path.WARM)
        assert answer.error is not None and answer.error.kind == "exit"
    assert (await dispatcher.invoke(ECHO, {})).ok
    assert await dispatcher.life() is life


async def test_first_calls_at_the_same_time_import_once(dispatcher: UcDispatcher) -> None:
    calls = [dispatcher.invoke(ECHO, {"n": number}) for number in range(12)]
    answers = await asyncio.gather(*calls)
    assert [answer.result and answer.result["echo"]["n"] for answer in answers] == [*range(12)]
    assert [answer.path for answer in answers].count(Path.COLD) == 1


async def test_after_a_node_died_the_next_request_gets_another(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    waiting = asyncio.create_task(dispatcher.invoke(HARMFUL, {"what": "spin"}))
    await asyncio.sleep(0.2)
    assert life.node.waiting == 1
    os.kill(life.node.machine.pid, signal.SIGKILL)
    failed = await waiting
    assert failed.error is not None and failed.error.kind == "node-died"
    answer = await dispatcher.invoke(ECHO, {})
    assert answer.ok and await dispatcher.life() is not life


async def test_memory_that_runs_short_is_freed(settings: Settings, tmp_path: pathlib.Path) -> None:
    small = Settings(image=IMAGE, store=tmp_path, accelerator="tcg", isolation="uc", memory_mib=128)
    async with UcDispatcher(small) as dispatcher:
        for number in range(60):
            kept = function(
                f"KEPT = bytearray(b'x' * (1 << 20))\ndef main(args): return {{'n': {number}}}"
            )
            answer = await dispatcher.invoke(kept, {})
            assert answer.result == {"n": number}
        life = await dispatcher.life()
        assert len(life.snapshots) < 60


async def test_the_guests_deploy_is_a_phase_of_its_own(dispatcher: UcDispatcher) -> None:
    paths = (Path.COLD, Path.WARM, Path.HOT)
    answers = [await dispatcher.invoke(ECHO, {}, path) for path in paths]
    for answer in answers:
        parts = [part for part in answer.phases.to_json().values() if part is not None]
        assert all(part > 0 for part in parts) and sum(parts) <= answer.latency_ms
    assert [answer.phases.deploy is None for answer in answers] == [False, False, True]


async def test_a_cancelled_request_ends_its_context(dispatcher: UcDispatcher) -> None:
    node = (await dispatcher.life()).node
    assert (await dispatcher.invoke(HARMFUL, {"what": "none"}, Path.WARM)).ok
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await dispatcher.invoke(HARMFUL, {"what": "spin"}, Path.HOT)
    await quiet(node, contexts=1)


async def test_a_cancelled_import_leaves_no_snapshot(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    begin = life.node.begin_capture
    calls: list[asyncio.Task[Invocation]] = []

    def cancelled(context: int) -> asyncio.Future[Reply]:
        calls[0].cancel()
        return begin(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life.node, "begin_capture", cancelled)
        calls.append(asyncio.create_task(dispatcher.invoke(ECHO, {}, Path.COLD)))
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
    await quiet(life.node)
    await dispatcher.flush()
    told = await life.node.list()
    assert [each["id"] for each in told["snapshots"]] == [life.base]


async def test_boots_at_the_same_time(dispatcher: UcDispatcher) -> None:
    given_up = asyncio.create_task(dispatcher.invoke(ECHO, {}, Path.BOOTED))
    await asyncio.sleep(0.01)
    calls = [asyncio.create_task(dispatcher.invoke(ECHO, {"n": n}, Path.BOOTED)) for n in range(2)]
    given_up.cancel()
    answers = await asyncio.gather(*calls)
    assert [answer.result and answer.result["echo"]["n"] for answer in answers] == [0, 1]
    node = (await dispatcher.life()).node
    await quiet(node)
    assert node.strays == 0


async def test_an_idle_context_that_is_gone_is_passed_over(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    assert (await dispatcher.invoke(ECHO, {})).ok
    context = life.idle.take(ECHO.id)
    assert context is not None
    life.idle.add(ECHO.id, context)
    await life.node.end(context)
    await quiet(life.node)
    answer = await dispatcher.invoke(ECHO, {})
    assert answer.ok and answer.path is Path.WARM


async def test_hot_needs_contexts(settings: Settings) -> None:
    async with VmDispatcher(Settings(image=IMAGE, store=settings.store)) as machines:
        with pytest.raises(SettingsError, match="isolation uc"):
            await machines.invoke(ECHO, {}, Path.HOT)
