"""More calls at once than a node has memory for: those that do not fit yet wait."""

from __future__ import annotations

import asyncio
import pathlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from orchestrator.anticipation import Anticipation
from orchestrator.errors import NodeFullError
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from tests.integration.conftest import BUILD
from tests.integration.guests import holdings

MIB = 1 << 20
LEARNED_S = 0.5
"""After which the node's host has seen what a function's context needed."""
HOLDS = Function(
    "holds",
    "source",
    b"""
import time

def main(args):
    kept = bytearray(args["bytes"])
    time.sleep(args["seconds"])
    return {"n": args["n"], "kept": len(kept)}
""",
)
KEEPS = Function("keeps", "source", b"KEPT = bytearray(b'x' * (8 << 20))\n" + HOLDS.code)


def settings(store: pathlib.Path, memory_mib: int = 128, wait_s: float = 60.0) -> Settings:
    return Settings(
        image=BUILD / "ebbrt-python.elf",
        store=store,
        accelerator="tcg",
        isolation="uc",
        memory_mib=memory_mib,
        ao=Anticipation.NONE,
        timeout_s=60.0,
        memory_wait_s=wait_s,
    )


@pytest.fixture
async def dispatcher(tmp_path: pathlib.Path) -> AsyncIterator[UcDispatcher]:
    before = holdings()
    async with UcDispatcher(settings(tmp_path / "store")) as running:
        await running.ensure_base()
        yield running
    assert holdings() == before


def call(
    dispatcher: UcDispatcher, function: Function, number: int, mib: int, seconds: float = 0.3
) -> asyncio.Task[Invocation]:
    args = {"n": number, "bytes": mib * MIB, "seconds": seconds}
    return asyncio.create_task(dispatcher.invoke(function, args))


async def test_calls_that_wait_for_others_in_a_small_node_are_all_right(
    dispatcher: UcDispatcher,
) -> None:
    calls = [call(dispatcher, HOLDS, number, 2) for number in range(128)]
    answers = await asyncio.gather(*calls)
    assert [answer.error for answer in answers] == [None] * 128
    assert [answer.result for answer in answers] == [
        {"n": number, "kept": 2 * MIB} for number in range(128)
    ]
    paths = Counter(answer.path for answer in answers)
    assert paths[Path.COLD] == 1 and paths[Path.WARM] > 1 and paths[Path.HOT] > 1
    waited = [answer.phases.wait for answer in answers if answer.phases.wait is not None]
    assert waited and all(
        answer.latency_ms >= (answer.phases.wait or 0) + (answer.phases.run or 0)
        for answer in answers
    )
    room = (await dispatcher.life()).room
    assert room.running == {} and room.waiting == 0


async def test_large_ones_get_their_turn_among_small_ones(dispatcher: UcDispatcher) -> None:
    await call(dispatcher, HOLDS, 0, 20, 0)
    await asyncio.sleep(LEARNED_S)
    over = asyncio.Event()

    async def small(number: int) -> int:
        served = 0
        while not over.is_set():
            answer = await call(dispatcher, KEEPS, number, 1, 0.05)
            assert answer.ok, answer.error
            served += 1
        return served

    streams = [asyncio.create_task(small(number)) for number in range(24)]
    await asyncio.sleep(0.5)
    large = [await call(dispatcher, HOLDS, number, 20, 0.1) for number in range(5)]
    over.set()
    assert all(await asyncio.gather(*streams))
    assert [answer.result for answer in large] == [
        {"n": number, "kept": 20 * MIB} for number in range(5)
    ]


async def test_ones_own_limit_is_told_at_once_though_the_node_is_full(
    dispatcher: UcDispatcher,
) -> None:
    others = [call(dispatcher, HOLDS, number, 2) for number in range(64)]
    own = await call(dispatcher, KEEPS, 0, 60, 0)
    assert own.error is not None and own.error.kind in ("memory-limit", "exception")
    assert "emory" in own.error.message
    assert all(answer.ok for answer in await asyncio.gather(*others))


async def test_a_call_that_waited_too_long_is_told_why(tmp_path: pathlib.Path) -> None:
    async with UcDispatcher(settings(tmp_path / "store", wait_s=0.5)) as dispatcher:
        await call(dispatcher, HOLDS, 0, 20, 0)
        await asyncio.sleep(LEARNED_S)
        calls = [call(dispatcher, HOLDS, number, 20, 2.0) for number in range(12)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [each for each in outcomes if isinstance(each, NodeFullError)]
        served = [each for each in outcomes if isinstance(each, Invocation)]
        assert len(refused) + len(served) == 12 and refused
        assert served and all(each.ok for each in served)
        assert "holds waited too long for memory" in refused[0].message
        assert "--memory" in refused[0].message
        assert (await call(dispatcher, HOLDS, 0, 20, 0)).ok
