"""The node of all contexts killed at any moment: each request is told, and the next one starts
another node."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator.errors import PoolClosedError
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.uc.dispatcher import UcDispatcher
from tests.fault.conftest import check_store, real_image
from tests.fault.machine_steps import (
    Killer,
    Outcome,
    check_told,
    kill,
    kill_after,
    kill_at_every_step,
)
from tests.integration.guests import children

SPIN = Function("spin", "source", b"def main(args):\n    while True: pass")
RANDOM_KILLS = 6
AT_ONCE = 8


def function(number: int) -> Function:
    return Function("function", "source", f"def main(args): return {{'n': {number}}}".encode())


KNOWN = function(-1)


@pytest.fixture
async def dispatcher(
    own_store: pathlib.Path, nothing_left: pathlib.Path
) -> AsyncIterator[UcDispatcher]:
    async with UcDispatcher(replace(real_image(own_store), isolation="uc")) as running:
        assert (await running.invoke(KNOWN, {})).ok
        await running.flush()
        yield running
    check_store(own_store)


@pytest.mark.parametrize("path", [Path.BOOTED, Path.COLD, Path.WARM, Path.HOT])
async def test_killed_at_every_step_of_an_invocation(dispatcher: UcDispatcher, path: Path) -> None:
    numbers = itertools.count()

    async def act(killer: Killer) -> Invocation:
        killer.watch((await dispatcher.life()).node.machine)
        # A cold call has something to store, which is disturbed too.
        called = function(next(numbers)) if path is Path.COLD else KNOWN
        answer = await dispatcher.invoke(called, {}, path)
        await dispatcher.flush()
        return answer

    async def inspect(outcome: Outcome, struck: bool) -> None:
        if not (isinstance(outcome, Invocation) and outcome.ok):
            assert struck
            check_told(outcome)
        again = await dispatcher.invoke(KNOWN, {})
        assert again.result == {"n": -1} and again.path is (Path.WARM if struck else Path.HOT)

    steps = await kill_at_every_step(act, inspect)
    assert {"sock_sendall", "receive"} <= set(steps)


async def test_killed_at_every_step_of_a_start(dispatcher: UcDispatcher) -> None:
    """A start takes the base and a function's snapshot in from the store."""
    kill((await dispatcher.life()).node.machine.pid)

    async def act(killer: Killer) -> Invocation:
        return await dispatcher.invoke(KNOWN, {})

    async def inspect(outcome: Outcome, struck: bool) -> None:
        if isinstance(outcome, Invocation) and outcome.ok:
            assert outcome.result == {"n": -1}
        else:
            check_told(outcome)
        for machine in children():
            kill(machine)

    steps = await kill_at_every_step(act, inspect)
    assert {"sock_sendall", "receive"} <= set(steps)
    assert (await dispatcher.invoke(KNOWN, {})).ok


async def test_killed_with_many_under_way_at_random_moments(
    dispatcher: UcDispatcher, chance: random.Random
) -> None:
    numbers = itertools.count(1000)
    for _ in range(RANDOM_KILLS):
        moment = chance.uniform(0, 0.3)

        async def act(killer: Killer) -> Invocation:
            life = await dispatcher.life()
            killer.watch(life.node.machine)
            spinning = [asyncio.create_task(dispatcher.invoke(SPIN, {})) for _ in range(2)]
            called = [function(next(numbers)) for _ in range(AT_ONCE)]
            calls = [asyncio.create_task(dispatcher.invoke(each, {})) for each in called]
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                if not (isinstance(outcome, Invocation) and outcome.ok):
                    assert isinstance(outcome, Outcome)
                    check_told(outcome)
            killer.strike()
            for outcome in await asyncio.gather(*spinning, return_exceptions=True):
                assert isinstance(outcome, Outcome)
                check_told(outcome)
            return await dispatcher.invoke(KNOWN, {})

        outcome = await kill_after(moment, act)
        if not (isinstance(outcome, Invocation) and outcome.ok):
            check_told(outcome)
        assert (await dispatcher.invoke(KNOWN, {})).result == {"n": -1}


async def test_no_node_is_started_after_the_end(
    own_store: pathlib.Path, nothing_left: pathlib.Path
) -> None:
    async with UcDispatcher(replace(real_image(own_store), isolation="uc")) as running:
        node = (await running.life()).node
        spinning = [asyncio.create_task(running.invoke(SPIN, {}, Path.COLD)) for _ in range(2)]
        for _ in range(1000):
            if node.waiting == len(spinning):
                break
            await asyncio.sleep(0.01)
        assert node.waiting == len(spinning)
    for outcome in await asyncio.gather(*spinning):
        assert outcome.error is not None and outcome.error.kind == "node-died"
    with pytest.raises(PoolClosedError, match="the dispatcher was closed"):
        await running.invoke(KNOWN, {})
