"""The pool with items that are no machines: filling, gaps, failures, and closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from orchestrator.errors import MachineError, PoolClosedError
from orchestrator.traffic import Traffic
from orchestrator.vm.pool import Pool, close_all

DEADLINE_S = 5.0


class Item:
    """Counts itself in and out of a workshop."""

    def __init__(self, workshop: Workshop) -> None:
        self.alive = True
        self.closed = 0
        self._workshop = workshop

    async def close(self) -> None:
        self.closed += 1
        self.alive = False
        await asyncio.sleep(0)


class Workshop:
    """Makes items; may be told to fail or to take its time."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.attempts = 0
        self.fails = False
        self.error: Exception = MachineError("no memory left")
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def make(self) -> Item:
        self.attempts += 1
        await self.go_on.wait()
        if self.fails:
            raise self.error
        self.items.append(Item(self))
        return self.items[-1]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(round(DEADLINE_S / 0.001)):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("what was waited for did not come")


async def test_nothing_is_made_before_it_is_wanted() -> None:
    workshop = Workshop()
    async with Pool(workshop.make, 2):
        await asyncio.sleep(0.01)
    assert workshop.attempts == 0


async def test_filled_pool_gives_at_once_and_refills() -> None:
    workshop = Workshop()
    async with Pool(workshop.make, 2) as pool:
        await pool.fill()
        assert pool.ready == 2
        item, pooled = await pool.take()
        assert pooled and item is workshop.items[0]
        await until(lambda: pool.ready == 2)
    assert [item.closed for item in workshop.items] == [0, 1, 1]


async def test_empty_pool_makes_one_for_the_caller() -> None:
    workshop = Workshop()
    async with Pool(workshop.make, 0) as pool:
        item, pooled = await pool.take()
        await pool.fill()
    assert not pooled and item.closed == 0
    assert workshop.attempts == 1


async def test_the_dead_are_not_handed_out() -> None:
    workshop = Workshop()
    async with Pool(workshop.make, 2) as pool:
        await pool.fill()
        workshop.items[0].alive = False
        assert pool.ready == 1
        item, pooled = await pool.take()
        assert pooled and item is workshop.items[1]
        assert workshop.items[0].closed == 1
        await pool.fill()
        assert pool.ready == 2


async def test_background_work_waits_for_a_gap() -> None:
    workshop, traffic = Workshop(), Traffic()
    async with Pool(workshop.make, 1, traffic) as pool:
        await pool.fill()
        with traffic.request():
            await pool.take()
            await asyncio.sleep(0.02)
            assert workshop.attempts == 1
        await until(lambda: pool.ready == 1)


@pytest.mark.parametrize(("size", "optional", "made"), [(2, False, 1), (1, False, 2), (1, True, 1)])
async def test_only_what_is_missed_is_made_without_patience(
    size: int, optional: bool, made: int
) -> None:
    workshop, traffic = Workshop(), Traffic()
    async with Pool(workshop.make, size, traffic, 3600.0, optional) as pool:
        with traffic.request():
            await pool.fill(1)
        # In a hurry none waited for a pause; now there was a request just now.
        before = workshop.attempts
        await pool.take() if size == 1 else pool.want()
        await asyncio.sleep(0.02)
        assert workshop.attempts - before == made - 1


async def test_a_gap_lasts_as_long_as_was_asked() -> None:
    traffic = Traffic()
    with traffic.request():
        waiting = [asyncio.create_task(traffic.gap(least)) for least in (0.0, 0.01, 3600.0)]
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in waiting)
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*waiting[:2])
    assert not waiting[2].done()
    waiting[2].cancel()


async def test_fill_does_not_wait_for_a_gap() -> None:
    workshop, traffic = Workshop(), Traffic()
    with traffic.request():
        async with Pool(workshop.make, 1, traffic) as pool, asyncio.timeout(DEADLINE_S):
            await pool.fill()


async def test_failure_comes_through_and_does_not_last() -> None:
    workshop = Workshop()
    async with Pool(workshop.make, 1) as pool:
        workshop.fails = True
        with pytest.raises(MachineError, match="no memory"):
            await pool.take()
        await until(lambda: workshop.attempts == 2)
        with pytest.raises(MachineError, match="no memory"):
            await pool.fill()
        assert workshop.attempts == 3
        workshop.fails = False
        await pool.fill()
        assert pool.ready == 1


async def test_closing_stops_what_is_being_made() -> None:
    workshop = Workshop()
    pool = Pool(workshop.make, 1)
    await pool.fill()
    workshop.go_on.clear()
    item, _ = await pool.take()
    await until(lambda: workshop.attempts == 2)
    async with asyncio.timeout(DEADLINE_S):
        await pool.close()
        await pool.close()
    assert workshop.items == [item] and item.closed == 0


async def test_cancelled_fill_leaves_the_pool_working() -> None:
    workshop = Workshop()
    workshop.go_on.clear()
    async with Pool(workshop.make, 1) as pool:
        filling = asyncio.create_task(pool.fill())
        await until(lambda: workshop.attempts == 1)
        filling.cancel()
        await asyncio.wait((filling,))
        workshop.go_on.set()
        await until(lambda: pool.ready == 1)


async def test_error_of_another_kind_does_not_stop_the_filler() -> None:
    workshop = Workshop()
    workshop.fails, workshop.error = True, OSError("too many open files")
    async with Pool(workshop.make, 1) as pool, asyncio.timeout(DEADLINE_S):
        with pytest.raises(OSError, match="too many"):
            await pool.fill()
        workshop.fails = False
        await pool.fill()
        assert pool.ready == 1


async def test_closing_ends_those_who_wait() -> None:
    workshop = Workshop()
    workshop.go_on.clear()
    pool = Pool(workshop.make, 1)
    filling = asyncio.create_task(pool.fill())
    await until(lambda: workshop.attempts == 1)
    taking = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE_S):
        await pool.close()
        for waiting in (filling, taking):
            with pytest.raises(PoolClosedError):
                await waiting
        for late in (pool.fill, pool.take):
            with pytest.raises(PoolClosedError):
                await late()
    assert workshop.attempts == 1 and workshop.items == []


async def test_one_in_a_hurry_does_not_slow_the_others() -> None:
    workshop, traffic = Workshop(), Traffic()
    with traffic.request():
        async with Pool(workshop.make, 2, traffic) as pool, asyncio.timeout(DEADLINE_S):
            await asyncio.gather(pool.fill(1), pool.fill(2))
            assert pool.ready == 2


async def test_item_that_dies_while_others_wait_is_replaced() -> None:
    workshop = Workshop()
    async with Pool(workshop.make, 2) as pool, asyncio.timeout(DEADLINE_S):
        await pool.fill(1)
        workshop.go_on.clear()
        filling = asyncio.create_task(pool.fill(2))
        await until(lambda: workshop.attempts == 2)
        workshop.items[0].alive = False
        workshop.go_on.set()
        await filling
        assert pool.ready == 2


async def test_all_are_closed_even_when_cancelled() -> None:
    workshop = Workshop()
    items = [await workshop.make() for _ in range(3)]
    closing = asyncio.create_task(close_all(items))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [item.closed for item in items] == [1, 1, 1]
