"""Calls that wait for memory in a node: cancelled, their node killed, their dispatcher closed."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator.errors import PoolClosedError
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.uc.dispatcher import UcDispatcher
from tests.fault.conftest import check_store, real_image
from tests.fault.machine_steps import kill

HOLDS = Function(
    "holds",
    "source",
    b"""
import time

def main(args):
    kept = bytearray(20 << 20)
    time.sleep(args["seconds"])
    return {"kept": len(kept)}
""",
)
LONG_S = 20.0
LEARNED_S = 0.5
AT_ONCE = 12


@pytest.fixture
async def dispatcher(
    own_store: pathlib.Path, nothing_left: pathlib.Path
) -> AsyncIterator[UcDispatcher]:
    """A dispatcher with a small node, which knows what `HOLDS` needs."""
    settings = replace(real_image(own_store), isolation="uc", memory_mib=128, timeout_s=60.0)
    async with UcDispatcher(settings) as running:
        assert (await running.invoke(HOLDS, {"seconds": 0})).ok
        await asyncio.sleep(LEARNED_S)
        await running.flush()
        yield running
    check_store(own_store)


async def crowd(dispatcher: UcDispatcher, seconds: float) -> list[asyncio.Task[Invocation]]:
    """Make more calls than fit; return them once some run and the others wait."""
    calls = [
        asyncio.create_task(dispatcher.invoke(HOLDS, {"seconds": seconds})) for _ in range(AT_ONCE)
    ]
    room = (await dispatcher.life()).room
    for _ in range(600):
        if room.running and room.waiting and len(room.running) + room.waiting == AT_ONCE:
            return calls
        await asyncio.sleep(0.01)
    raise AssertionError("they do not wait")


async def test_the_cancelled_leave_their_places(dispatcher: UcDispatcher) -> None:
    room = (await dispatcher.life()).room
    calls = await crowd(dispatcher, LONG_S)
    begun = len(room.running)
    for call in calls[begun:]:
        call.cancel()
    assert all(
        isinstance(outcome, asyncio.CancelledError)
        for outcome in await asyncio.gather(*calls[begun:], return_exceptions=True)
    )
    assert room.waiting == 0 and len(room.running) == begun
    # One more waits, for those that run; they go, and their contexts with them.
    last = asyncio.create_task(dispatcher.invoke(HOLDS, {"seconds": 0}))
    await asyncio.sleep(0.2)
    assert room.waiting == 1
    for call in calls[:begun]:
        call.cancel()
    assert (await last).result == {"kept": 20 << 20}
    await asyncio.gather(*calls, return_exceptions=True)
    assert room.running == {} and room.waiting == 0


async def test_those_who_wait_are_served_by_the_next_node(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    calls = await crowd(dispatcher, 1.0)
    begun = len(life.room.running)
    kill(life.node.machine.pid)
    answers = await asyncio.gather(*calls)
    for answer in answers[:begun]:
        assert answer.error is not None and answer.error.kind == "node-died"
    assert all(answer.ok for answer in answers[begun:])
    assert await dispatcher.life() is not life


async def test_a_dispatcher_that_is_closed_sends_them_away(
    own_store: pathlib.Path, nothing_left: pathlib.Path
) -> None:
    settings = replace(real_image(own_store), isolation="uc", memory_mib=128, timeout_s=60.0)
    async with UcDispatcher(settings) as dispatcher:
        assert (await dispatcher.invoke(HOLDS, {"seconds": 0})).ok
        await asyncio.sleep(LEARNED_S)
        calls = await crowd(dispatcher, LONG_S)
        begun = len((await dispatcher.life()).room.running)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes[:begun]:
        assert isinstance(outcome, Invocation)
        assert outcome.error is not None and outcome.error.kind == "node-died"
    assert all(isinstance(outcome, PoolClosedError) for outcome in outcomes[begun:])
