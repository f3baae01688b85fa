"""Far more requests at once than machines are ready, or cores there: each is served or refused."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator
from dataclasses import replace

from orchestrator.errors import BusyError
from orchestrator.platform.platform import Outcome, Platform
from orchestrator.platform.policies import Policies
from orchestrator.platform.registry import Deployment
from orchestrator.settings import Settings
from tests.fault.conftest import check_answer, check_store, function
from tests.integration.guests import children

AT_ONCE = 128
FUNCTIONS = 8
MACHINES = 4
POOL = 2
SHORT_QUEUE = 10


@contextlib.asynccontextmanager
async def platform(settings: Settings, queue: int) -> AsyncIterator[Platform]:
    """A platform with a small pool and a node of one core, and its functions f0, f1..."""
    policies = Policies(contexts=MACHINES, machines=MACHINES, queue=queue)
    memory = {settings.isolation: settings.memory_mib}
    async with Platform(
        replace(settings, pool_size=POOL, cores=1), policies, memory_mib=memory
    ) as running:
        for number in range(FUNCTIONS):
            running.registry.put(Deployment(function(number), settings.isolation))
        yield running


async def burst(running: Platform) -> tuple[list[Outcome | BaseException], int]:
    """Make the requests; return what came of each, and the most machines that ran meanwhile."""
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(children()))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    calls = [running.invoke(f"f{number % FUNCTIONS}", {}) for number in range(AT_ONCE)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    watching.cancel()
    return outcomes, most


async def test_all_are_served(either: Settings, nothing_left: pathlib.Path) -> None:
    async with platform(either, AT_ONCE) as running:
        outcomes, most = await burst(running)
        for number, outcome in enumerate(outcomes):
            assert isinstance(outcome, Outcome), outcome
            check_answer(outcome.invocation, number % FUNCTIONS)
        # Two pools, those that serve, and as many that are being ended.
        assert most <= 2 * POOL + 2 * MACHINES
        check_answer((await running.invoke("f0", {})).invocation, 0)
    check_store(either.store)


async def test_what_the_queue_does_not_hold_is_refused(
    either: Settings, nothing_left: pathlib.Path
) -> None:
    async with platform(either, SHORT_QUEUE) as running:
        outcomes, _ = await burst(running)
        served = MACHINES + SHORT_QUEUE
        for number, outcome in enumerate(outcomes[:served]):
            assert isinstance(outcome, Outcome), outcome
            check_answer(outcome.invocation, number % FUNCTIONS)
        for refused in outcomes[served:]:
            assert isinstance(refused, BusyError)
            assert "no more are taken now. Try again in" in refused.message
        check_answer((await running.invoke("f0", {})).invocation, 0)
    check_store(either.store)
