"""QEMU of one invocation killed at any moment: its caller is told, and nobody else notices."""

from __future__ import annotations

import pathlib
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator.anticipation import Anticipation
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store import SnapshotStore
from tests.fault.conftest import check_store
from tests.fault.machine_steps import (
    Killer,
    Outcome,
    check_told,
    kill_after,
    kill_at_every_step,
    killing,
)

HELLO = Function("hello", "source", b"def main(args): ...")
RANDOM_KILLS = 12


@pytest.fixture
def settings(small_guests: pathlib.Path, tmp_path: pathlib.Path) -> Settings:
    """Without a pool, all that is done with a machine is part of a request."""
    return Settings(
        image=small_guests / "frame-guest.elf",
        store=tmp_path / "store",
        accelerator="tcg",
        memory_mib=64,
        pool_size=0,
    )


@pytest.fixture
async def dispatcher(settings: Settings, nothing_left: pathlib.Path) -> AsyncIterator[VmDispatcher]:
    async with VmDispatcher(settings) as running:
        assert (await running.invoke(HELLO, {}, Path.WARM)).ok
        yield running
    check_store(settings.store)


@pytest.mark.parametrize("path", [Path.BOOTED, Path.COLD, Path.WARM])
async def test_killed_at_every_step_of_an_invocation(dispatcher: VmDispatcher, path: Path) -> None:
    told = []

    async def act(killer: Killer) -> Invocation:
        return await dispatcher.invoke(HELLO, {}, path)

    async def inspect(outcome: Outcome, struck: bool) -> None:
        if isinstance(outcome, Invocation) and outcome.ok:
            # Also where the answer was on its way when the machine was killed.
            assert outcome.path is path
        else:
            assert struck
            check_told(outcome)
        told.append(str(outcome))
        if len(told) % 4 == 0:  # and the next request is served
            again = await dispatcher.invoke(HELLO, {})
            assert again.ok and again.path is Path.WARM

    steps = await kill_at_every_step(act, inspect)
    # The moments that matter were among them: the restore, the capture, and the run.
    assert {"sock_sendall", "receive"} <= set(steps)
    if path is Path.COLD:
        assert {"execute", "sock_recv"} <= set(steps)
        assert any("could not be captured: QEMU ended" in each for each in told)
    if path is not Path.BOOTED:
        assert any("could not be restored: QEMU ended" in each for each in told)
    assert any("node-died" in each for each in told)


async def test_killed_at_every_step_of_taking_the_base(
    settings: Settings, nothing_left: pathlib.Path
) -> None:
    store = settings.store
    told: list[str] = []

    async def act(killer: Killer) -> Invocation:
        # A store for each: a base is taken once.
        own = replace(settings, store=store / str(len(told)), ao=Anticipation.NONE)
        async with VmDispatcher(own) as dispatcher:
            await dispatcher.ensure_base()
            killer.stop()
            return await dispatcher.invoke(HELLO, {})

    async def inspect(outcome: Outcome, struck: bool) -> None:
        own = replace(settings, store=store / str(len(told)), ao=Anticipation.NONE)
        told.append(str(outcome))
        if struck:
            check_told(outcome)
            with SnapshotStore(own.store) as left:
                assert left.list() == []
        async with VmDispatcher(own) as dispatcher:
            assert (await dispatcher.invoke(HELLO, {})).ok
        check_store(own.store)

    steps = await kill_at_every_step(act, inspect)
    assert {"sock_sendall", "receive", "execute", "sock_recv"} <= set(steps)


async def test_killed_at_random_moments(dispatcher: VmDispatcher, chance: random.Random) -> None:
    for _ in range(RANDOM_KILLS):
        path = chance.choice([Path.BOOTED, Path.COLD, Path.WARM])

        async def act(killer: Killer, path: Path = path) -> Invocation:
            return await dispatcher.invoke(HELLO, {}, path)

        outcome = await kill_after(chance.uniform(0, 0.15), act)
        if not (isinstance(outcome, Invocation) and outcome.ok):
            check_told(outcome)
        assert (await dispatcher.invoke(HELLO, {})).ok


async def test_machine_that_died_in_the_pool_costs_nobody_an_answer(
    settings: Settings, nothing_left: pathlib.Path
) -> None:
    with killing() as killer:
        async with VmDispatcher(replace(settings, pool_size=1)) as dispatcher:
            assert (await dispatcher.invoke(HELLO, {}, Path.WARM)).ok
            for path in (Path.WARM, Path.COLD):
                await dispatcher.prepare(1)
                killer.strike()
                assert (await dispatcher.invoke(HELLO, {}, path)).ok
    assert killer.struck
