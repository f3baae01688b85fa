"""Who may begin in a node's memory, and who waits, with a node that only counts frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MachineError, NodeFullError
from orchestrator.function import Function
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.settings import Settings
from orchestrator.uc.cache import IdleContexts
from orchestrator.uc.needs import (
    FADING,
    FIRST_PART,
    GROWTH,
    MARGIN_PART,
    MOST_KNOWN,
    UNKNOWN_FRAMES,
    Needs,
)
from orchestrator.uc.node import UcNode
from orchestrator.uc.room import KERNEL_FRAMES, RESERVED_FRAMES, Place, Room

SETTINGS = Settings(memory_mib=64, memory_queue=8, memory_wait_s=5.0)
SHARE = 4096
"""Frames that a context of a node of 64 MiB may own."""
SMALL, LARGE, OTHER = (Function(name, "source", name.encode()) for name in ("s", "l", "o"))


class FakeNode:
    """Counts frames; its contexts are what a test says."""

    def __init__(self) -> None:
        self.hardware = Hardware(Accelerator("tcg", TCG_CPU, "TCG, for tests.", {}), memory_mib=64)
        self.alive = True
        self.frames = 0
        self.contexts: list[dict[str, Any]] = []
        self.looks = self.lists = 0

    async def free_frames(self) -> int:
        self.looks += 1
        await asyncio.sleep(0)
        if not self.alive:
            raise MachineError("The node ended.")
        return self.frames + RESERVED_FRAMES

    def error(self, message: str) -> MachineError:
        return MachineError(message)

    async def list(self) -> dict[str, Any]:
        self.lists += 1
        await asyncio.sleep(0)
        return {"contexts": self.contexts}


class FakeKeeper:
    """Keeps idle contexts, each of which gives `each` frames back when it is ended."""

    def __init__(self, each: int = 0) -> None:
        self.fake = FakeNode()
        self.node = cast(UcNode, self.fake)
        self.idle = IdleContexts(8, 8)
        self.each = each
        self.looked_after = 0
        self.freed: list[int] = []

    def keep_idle(self, function: str, context: int) -> None:
        self.idle.add(function, context)

    def look_after_memory(self) -> None:
        self.looked_after += 1

    async def free_something(self) -> bool:
        gone = self.idle.pop_oldest(1)
        self.freed += gone
        self.fake.frames += len(gone) * self.each
        return bool(gone)

    def origins(self) -> Mapping[int, str]:
        return {1: SMALL.id, 2: LARGE.id, 3: OTHER.id}


@pytest.fixture
def keeper() -> FakeKeeper:
    return FakeKeeper()


@pytest.fixture
async def room(keeper: FakeKeeper) -> AsyncIterator[Room]:
    made = Room(keeper, SETTINGS, Needs(SHARE))
    yield made
    await made.close()


def entry(context: int, snapshot: int, frames: int, busy: bool = True) -> dict[str, Any]:
    """A context in the node's list."""
    owned = {"owned_frames": frames - KERNEL_FRAMES - 1, "tables": 1}
    return {"id": context, "snapshot": snapshot, "busy": busy} | owned


def claim(room: Room, function: Function, hot: bool = True) -> Place:
    return room.claim(function, lambda: hot)


async def know(room: Room, keeper: FakeKeeper, frames: Mapping[Function, int]) -> None:
    """Have a room see what contexts of functions own, by functions."""
    kept = keeper.fake.contexts
    keeper.fake.contexts = []
    for number, (function, owned) in enumerate(frames.items(), 1000):
        keeper.idle.add(function.id, number)
        keeper.fake.contexts.append(entry(number, 0, owned, busy=False))
    await room._look_closely()
    for function in frames:
        keeper.idle.pop_all(function.id)
    keeper.fake.contexts = kept


async def settle(turns: int = 20) -> None:
    """Let all that can go on at once do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_with_ample_memory_nobody_waits_and_the_node_is_not_asked(
    room: Room, keeper: FakeKeeper
) -> None:
    keeper.fake.frames = SHARE + 10 * UNKNOWN_FRAMES - 1
    await room.look()
    places = [claim(room, SMALL) for _ in range(10)]
    assert [await place.wait() for place in places] == [True] * 10
    assert not any(place.waited for place in places)
    assert (keeper.fake.looks, keeper.fake.lists) == (1, 0)
    assert claim(room, SMALL).waited


async def test_what_calls_took_is_not_counted_twice(room: Room, keeper: FakeKeeper) -> None:
    await know(room, keeper, {SMALL: 1000})
    keeper.fake.frames = 2000 + SHARE // 4
    await room.look()
    first = [claim(room, SMALL), claim(room, SMALL)]
    # They have taken all they need, so there is room for two more.
    keeper.fake.contexts = [entry(1, 1, 1000), entry(2, 1, 1000)]
    more = [claim(room, SMALL), claim(room, SMALL), claim(room, SMALL)]
    await asyncio.wait_for(asyncio.gather(*(place.wait() for place in more[:2])), 5)
    assert {*room.running} == {*first, *more[:2]} and room.waiting == 1
    more[2].release()
    assert room.waiting == 0


async def test_idle_contexts_go_before_anybody_waits_long(room: Room) -> None:
    keeper = cast(FakeKeeper, room.keeper)
    keeper.each = SHARE
    for context in (5, 6):
        keeper.idle.add(OTHER.id, context)
    place = claim(room, SMALL)
    assert await place.wait() and place.waited
    assert keeper.freed == [5] and len(keeper.idle) == 1


async def test_an_idle_context_of_the_function_needs_no_memory(
    room: Room, keeper: FakeKeeper
) -> None:
    await know(room, keeper, {SMALL: 500})
    keeper.idle.add(SMALL.id, 5)
    cold = claim(room, SMALL, hot=False)
    assert cold.waited
    cold.release()
    place = claim(room, SMALL)
    assert not place.waited
    # It is this call's: nobody else gets it, or ends it.
    assert keeper.idle.take(SMALL.id) is None
    assert place.take_idle() == 5 and place.take_idle() is None
    place.release()
    assert len(keeper.idle) == 0


async def test_an_idle_context_that_was_not_used_is_kept(room: Room, keeper: FakeKeeper) -> None:
    keeper.idle.add(SMALL.id, 5)
    place = claim(room, SMALL)
    for _ in range(2):
        place.release()
    assert len(keeper.idle) == 1 and keeper.idle.take(SMALL.id) == 5


async def test_one_that_waits_gets_the_context_that_becomes_idle(
    room: Room, keeper: FakeKeeper
) -> None:
    await know(room, keeper, {SMALL: 500})
    running = claim(room, SMALL)
    await running.wait()
    following = [claim(room, SMALL) for _ in range(2)]
    await settle()
    assert all(place.waited for place in following) and room.waiting == 2
    keeper.keep_idle(SMALL.id, 5)
    running.release()
    assert [*room.running] == [following[0]] and following[0].take_idle() == 5
    assert keeper.freed == []


async def test_a_large_one_is_not_passed_by_small_ones(room: Room, keeper: FakeKeeper) -> None:
    await know(room, keeper, {SMALL: 100, LARGE: 3000})
    keeper.fake.frames = 2000 + SHARE // 4
    await room.look()
    running = [claim(room, SMALL) for _ in range(5)]
    large = claim(room, LARGE)
    small = [claim(room, SMALL) for _ in range(3)]
    await settle(200)
    assert [*room.running] == running  # though there is room for small ones
    assert claim(room, SMALL).waited
    for place in running:
        keeper.fake.frames += 200
        place.release()
    assert await asyncio.wait_for(large.wait(), 5)
    keeper.fake.contexts = [entry(1, 2, 3000)]
    keeper.fake.frames = 100 + SHARE // 4
    assert await asyncio.wait_for(small[0].wait(), 5)
    assert small[1] not in room.running


async def test_alone_in_the_node_one_always_begins(room: Room, keeper: FakeKeeper) -> None:
    await know(room, keeper, {LARGE: 4 * SHARE})
    first, second = claim(room, LARGE), claim(room, LARGE)
    assert await first.wait()
    await settle()
    assert [*room.running] == [first]
    first.release()
    assert await second.wait()


async def test_a_context_that_gave_much_back_needs_it_again(room: Room, keeper: FakeKeeper) -> None:
    await know(room, keeper, {LARGE: 2000})
    keeper.idle.add(LARGE.id, 5)
    keeper.fake.contexts = [entry(5, 2, 300, busy=False) | {"peak_frames": 2000}]
    await room._look_closely()
    keeper.fake.frames = 2000 + SHARE // 4
    await room.look()
    first = claim(room, LARGE)
    assert not first.waited and first.take_idle() == 5
    keeper.idle.add(LARGE.id, 6)
    assert claim(room, LARGE).waited


async def test_functions_are_learned_of_idle_contexts(room: Room, keeper: FakeKeeper) -> None:
    keeper.idle.add(SMALL.id, 5)
    keeper.fake.contexts = [entry(5, 1, 300, busy=False)]
    for _ in range(3):
        await room.learn()
    assert keeper.fake.lists == 1


async def test_whoever_gives_up_leaves_the_place_to_others(room: Room, keeper: FakeKeeper) -> None:
    await know(room, keeper, {SMALL: 500})
    running = claim(room, SMALL)
    await running.wait()
    waiting = [claim(room, SMALL) for _ in range(3)]
    tasks = [asyncio.create_task(place.wait()) for place in waiting]
    await settle()
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert tasks[0].cancelled()
    # Not released yet: still it does not get what becomes free.
    keeper.keep_idle(SMALL.id, 5)
    running.release()
    assert [*room.running] == [waiting[1]]
    waiting[0].release()
    # One that may begin, but hears that it is cancelled first.
    keeper.keep_idle(SMALL.id, waiting[1].take_idle() or 0)
    waiting[1].release()
    assert [*room.running] == [waiting[2]]
    tasks[2].cancel()
    await asyncio.wait(tasks)
    waiting[2].release()
    assert room.running == {} and room.waiting == 0
    assert keeper.idle.take(SMALL.id) == 5


async def test_queue_and_patience_end(keeper: FakeKeeper) -> None:
    room = Room(keeper, replace(SETTINGS, memory_queue=2, memory_wait_s=0.05), Needs(SHARE))
    await know(room, keeper, {LARGE: 2048})
    keeper.fake.frames = 256 * 7
    running = claim(room, LARGE)
    await running.wait()
    waiting = [claim(room, LARGE) for _ in range(2)]
    with pytest.raises(NodeFullError, match="l cannot wait") as told:
        claim(room, LARGE)
    await settle()
    for place in waiting:
        with pytest.raises(NodeFullError, match="l waited too long for memory") as told:
            await place.wait()
        place.release()
    for part in (
        *("to need 8 MiB", "when 12 MiB", "Of 64 MiB 11 are free", "which are 1;"),
        *("at most 2, each 0.05 s", "Try again later", "--memory"),
    ):
        assert part in told.value.message
    assert told.value.retry_s > 0 and room.waiting == 0
    await room.close()


async def test_those_who_wait_in_a_node_that_ends_are_sent_away(
    room: Room, keeper: FakeKeeper
) -> None:
    running = claim(room, SMALL)
    await running.wait()
    waiting = claim(room, SMALL)
    await settle()
    keeper.fake.alive = False
    assert not await asyncio.wait_for(waiting.wait(), 5)
    waiting.release()
    keeper.fake.alive = True
    last = claim(room, SMALL)
    await room.close()
    assert not await last.wait()


async def test_a_list_that_makes_no_sense_is_no_end(
    room: Room, keeper: FakeKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.fake.contexts = [{"id": "x"}]
    place = claim(room, SMALL)
    await settle()
    assert "makes no sense" in caplog.text
    keeper.fake.frames = 2 * SHARE
    assert await asyncio.wait_for(place.wait(), 5)


async def test_the_refused_try_again_while_there_is_hope(room: Room, keeper: FakeKeeper) -> None:
    keeper.fake.frames = 2 * SHARE
    await room.look()
    place, other = claim(room, SMALL), claim(room, SMALL)
    keeper.idle.add(OTHER.id, 7)
    await place.refused()
    assert keeper.freed == [7] and keeper.looked_after == 1
    # Nobody begins on what the node has just denied.
    later = claim(room, SMALL)
    assert later.waited
    later.release()
    for _ in range(2):
        await place.refused()  # others run, who will leave something
    other.release()
    await place.refused()
    with pytest.raises(NodeFullError, match="was refused"):
        await place.refused()


def test_needs_are_learned() -> None:
    needs = Needs(SHARE)
    assert (needs.of("f"), needs.at_first("f")) == (UNKNOWN_FRAMES, SHARE // FIRST_PART)
    assert needs.margin("f") == SHARE - UNKNOWN_FRAMES and not needs.knows("f")
    needs.grew("f", 10)
    assert needs.of("f") == UNKNOWN_FRAMES
    needs.grew("f", 1000)
    needs.grew("f", 900)
    assert needs.of("f") == needs.at_first("f") == GROWTH * 1000
    needs.finished("f", 1200)
    assert needs.of("f") == needs.at_first("f") == 1200
    assert needs.margin("f") == SHARE // MARGIN_PART and needs.knows("f")
    assert needs.kept("f") == 0
    needs.rested("f", 5000)
    assert needs.kept("f") == 1200
    needs.rested("f", 300)
    assert needs.kept("f") == 300
    needs.rested("f", 300 + FADING)
    assert needs.kept("f") == 301
    needs.finished("f", 400)
    assert needs.of("f") == 1200 - 800 // FADING
    needs.grew("f", 2000)
    assert needs.of("f") == 2000
    for _ in range(1000):
        needs.finished("f", 400)
    assert needs.of("f") == 400
    needs.grew("f", 10 * SHARE)
    assert needs.of("f") == SHARE
    for number in range(MOST_KNOWN):
        needs.finished(f"{number}", 1)
        needs.grew(f"other {number}", 1)
    assert needs.of("f") == UNKNOWN_FRAMES


@given(st.lists(st.tuples(st.sampled_from("slo"), st.booleans(), st.booleans()), max_size=40))
def test_everyone_begins_in_turn_and_all_places_come_back(
    steps: list[tuple[str, bool, bool]],
) -> None:
    async def run() -> None:
        keeper = FakeKeeper()
        functions = {each.name: each for each in (SMALL, LARGE, OTHER)}
        room = Room(keeper, replace(SETTINGS, memory_queue=100), Needs(SHARE))
        order: list[int] = []
        tasks: list[asyncio.Task[None]] = []

        async def call(number: int, function: Function, hot: bool) -> None:
            place = claim(room, function, hot)
            try:
                assert await place.wait()
                order.append(number)
                context = place.take_idle() if hot else None
                await asyncio.sleep(0)
                keeper.keep_idle(function.id, number if context is None else context)
            finally:
                place.release()

        gone = set()
        for number, (name, hot, goes) in enumerate(steps):
            tasks.append(asyncio.create_task(call(number, functions[name], hot)))
            await asyncio.sleep(0)
            if goes and not tasks[-1].done():
                tasks[-1].cancel()
                gone.add(number)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        assert order == sorted(order)
        assert {*order} | gone == {*range(len(steps))}
        assert room.running == {} and room.waiting == 0
        await room.close()

    asyncio.run(run())
