"""Which snapshot points have a machine standing at them; with items that are no machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from orchestrator.traffic import Traffic
from orchestrator.vm import ahead as module
from orchestrator.vm.ahead import Ahead
from orchestrator.vm.pool import ReadyMachine


class Item:
    """Stands for a machine at a place."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.alive = True

    async def close(self) -> None:
        self.alive = False


class Site:
    """Makes items and remembers them; closes what is retired."""

    def __init__(self) -> None:
        self.made: list[Item] = []
        self.tasks: list[asyncio.Task[None]] = []

    def at(self, place: str) -> Callable[[], Awaitable[ReadyMachine]]:
        async def make() -> ReadyMachine:
            self.made.append(Item(place))
            return cast(ReadyMachine, self.made[-1])

        return make

    def retire(self, pool: Any) -> None:
        self.tasks.append(asyncio.create_task(pool.close()))

    def standing(self) -> list[str]:
        return sorted(item.place for item in self.made if item.alive)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def ahead(site: Site) -> AsyncIterator[Ahead]:
    kept = Ahead(2, Traffic(), site.retire)
    yield kept
    kept.close()
    await asyncio.gather(*site.tasks)
    assert site.standing() == []


async def use(ahead: Ahead, site: Site, place: str) -> bool:
    """Call a place as a dispatcher does; return whether a machine stood there."""
    taken = ahead.take(place)
    if taken is not None:
        await taken.close()
    ahead.expect(place, site.at(place))
    await ahead.fill()
    await asyncio.gather(*site.tasks)
    return taken is not None


async def test_the_places_used_last_have_a_machine_each(ahead: Ahead, site: Site) -> None:
    assert not await use(ahead, site, "a") and await use(ahead, site, "a")
    assert not await use(ahead, site, "b") and site.standing() == ["a", "b"]
    assert await use(ahead, site, "a")
    assert not await use(ahead, site, "c") and site.standing() == ["a", "c"]
    assert not await use(ahead, site, "b") and site.standing() == ["b", "c"]


async def test_the_dead_are_replaced(ahead: Ahead, site: Site) -> None:
    await use(ahead, site, "a")
    site.made[-1].alive = False
    assert ahead.take("a") is None
    ahead.expect("a", site.at("a"))
    await ahead.fill()
    assert await use(ahead, site, "a")


async def test_places_that_nobody_comes_back_to_get_none_in_the_end(
    ahead: Ahead, site: Site
) -> None:
    for n in range(50):
        await use(ahead, site, f"once {n}")
    assert len(site.made) == 2 + module.MOST_MISSES
    assert not await use(ahead, site, "once 49")
    assert await use(ahead, site, "once 49")
    assert not await use(ahead, site, "new")
    assert not await use(ahead, site, "new") and await use(ahead, site, "new")


async def test_more_places_in_turn_than_machines_do_not_take_them_from_each_other(
    ahead: Ahead, site: Site
) -> None:
    found = [await use(ahead, site, "abc"[turn % 3]) for turn in range(60)]
    # After the first few, two of the three keep theirs.
    assert sum(found[12:]) == 32


async def test_the_next_machine_is_made_as_was_said_last(ahead: Ahead, site: Site) -> None:
    await use(ahead, site, "a")
    taken = ahead.take("a")
    assert taken is not None
    await taken.close()
    ahead.expect("a", site.at("a anew"))
    await ahead.fill()
    assert site.standing() == ["a anew"]


async def test_filling_passes_over_a_place_that_goes(ahead: Ahead, site: Site) -> None:
    begun = asyncio.Event()

    async def never() -> ReadyMachine:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    ahead.expect("a", never)
    filling = asyncio.create_task(ahead.fill())
    await begun.wait()
    for place in "bc":
        ahead.expect(place, site.at(place))
    await filling
    await ahead.fill()
    assert site.standing() == ["b", "c"]


async def test_none_are_kept_where_none_are_wanted(site: Site) -> None:
    none = Ahead(0, Traffic(), site.retire)
    assert not await use(none, site, "a") and site.made == []
