"""Calls that end with whoever serves them."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.calls import Calls
from orchestrator.errors import PoolClosedError


class Work:
    """Waits to be told; notes how it ended, which may take a moment."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.began = asyncio.Event()
        self.over = False

    async def run(self) -> int:
        self.began.set()
        try:
            await self.go_on.wait()
            return 7
        finally:
            await asyncio.sleep(0.01)
            self.over = True


async def test_a_call_gives_what_it_returns_or_raises() -> None:
    calls, work = Calls("server"), Work()
    work.go_on.set()
    assert await calls.run(work.run()) == 7
    with pytest.raises(TimeoutError):
        await calls.run(asyncio.wait_for(Work().run(), 0.001))


async def test_a_caller_that_goes_away_ends_its_call() -> None:
    calls, work, other = Calls("server"), Work(), Work()
    gone = asyncio.create_task(calls.run(work.run()))
    stays = asyncio.create_task(calls.run(other.run()))
    await work.began.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert work.over and not other.over
    other.go_on.set()
    assert await stays == 7


async def test_ending_waits_for_all_and_takes_none() -> None:
    calls, work, unasked = Calls("server"), Work(), Work()
    caller = asyncio.create_task(calls.run(work.run()))
    calls.begin(unasked.run())
    await asyncio.gather(work.began.wait(), unasked.began.wait())
    await calls.end()
    assert work.over and unasked.over
    with pytest.raises(PoolClosedError, match="The server was closed"):
        await caller
    late = Work()
    with pytest.raises(PoolClosedError):
        await calls.run(late.run())
    assert not late.began.is_set()
