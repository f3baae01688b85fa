"""Room in a node's memory: which calls may begin in it now, and which wait until others have ended.

What a call takes shows only as it runs: its context borrows its snapshot's pages and owns what it
writes. So a call is taken to need what contexts of its function were seen to own, and may begin
when the free memory, less what those that run are still to take, is that much and a margin; of a
function that was never seen, what any one context may own, for nobody knows what it will do.
Otherwise idle contexts and snapshots go; then it waits, and all that come later behind it, so that
small ones do not pass a large one for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from orchestrator.errors import NodeFullError
from orchestrator.function import Function
from orchestrator.settings import Settings
from orchestrator.uc.cache import IdleContexts
from orchestrator.uc.needs import Needs
from orchestrator.uc.node import FRAMES_PER_MIB, UcNode
from snapshot_store import PAGE_SIZE, SeussError

logger = logging.getLogger(__name__)

RESERVED_FRAMES: Final = 1024
"""What the kernel keeps for itself: no context gets the last of them."""
KERNEL_FRAMES: Final = 8
"""Of a context, beside its pages and page tables: stacks, and the kernel's account of it."""
AT_HAND_FRAMES: Final = 128
"""So much can always be had: idle contexts of one function differ by a part of that."""
LOOK_PAUSE_S: Final = 0.05
"""While calls wait, memory is looked at this often at least."""
LIST_PAUSE_S: Final = 0.01
"""Contexts are listed this often at most."""
LISTING_PART: Final = 5
"""One part in so many of the time may go into lists of contexts while calls wait."""
LEARNING_PART: Final = 50
"""The same while none do."""
RETRY_S: Final = 5
"""When a caller that was refused may try again."""


class Keeper(Protocol):
    """Who keeps idle contexts and snapshots in a node's memory."""

    node: UcNode
    idle: IdleContexts

    def keep_idle(self, function: str, context: int) -> None:
        """Keep an idle context of a function."""

    def look_after_memory(self) -> None:
        """Have the room's memory looked at soon."""

    async def free_something(self) -> bool:
        """End or forget something that no call needs; return whether there was any."""

    def origins(self) -> Mapping[int, str]:
        """Return the functions whose snapshots are in the node, by their numbers."""


class Place:
    """A call's place in a node, or in the queue for one; made by `Room.claim`.

    `release` it once, whether the call could begin or not.
    """

    __slots__ = (
        *("come", "context", "function", "may_take_idle", "name", "owned", "seen", "since"),
        *("snapshot", "_lonely", "_room", "_taken"),
    )

    def __init__(self, room: Room, function: Function, may_take_idle: Callable[[], bool]) -> None:
        self.function = function.id
        self.name = function.name
        self.may_take_idle = may_take_idle
        self.snapshot = 0
        """Number of the snapshot that its context is deployed from, once that is known."""
        self.owned = 0
        """Frames that its context is known to have taken."""
        self.seen = False
        """Whether its context was among those that the node listed."""
        self.context: int | None = None
        """The context that was idle and is for it."""
        self.come: asyncio.Future[bool] | None = None
        """What it waits for; None if it could begin at once."""
        self.since = time.monotonic()
        self._room = room
        self._lonely = False
        self._taken = False

    @property
    def waited(self) -> bool:
        """Whether the call could not begin at once."""
        return self.come is not None

    async def wait(self) -> bool:
        """Wait until the call may begin; return False if its node has ended instead.

        Raises NodeFullError when that takes too long.
        """
        if self.come is None:
            return True
        try:
            async with asyncio.timeout(self._room.longest_s):
                return await self.come
        except TimeoutError:
            raise self._room.full(self, "waited too long") from None

    async def refused(self) -> None:
        """Wait until a node that had no memory for the call, which had not begun, may have some.

        Raises NodeFullError when there is no hope, or it takes too long.
        """
        if await self._room.free_for_refused():
            return
        if self._lonely or time.monotonic() - self.since > self._room.longest_s:
            raise self._room.full(self, "was refused")
        # What others have left may not be free yet, so there is one try more.
        self._lonely = [*self._room.running] == [self]
        await self._room.change()

    def take_idle(self) -> int | None:
        """Return an idle context of the function, which is the caller's from now on."""
        if self.context is None or self._taken:
            return self._room.keeper.idle.take(self.function)
        self._taken = True
        return self.context

    def release(self) -> None:
        """Let others begin instead; calling it again does nothing."""
        if self.context is not None and not self._taken:
            self._taken = True
            self._room.keeper.keep_idle(self.function, self.context)
        self._room.leave(self)


class Room:
    """Lets calls begin as far as a node's memory reaches, first come, first served.

    Args:
        keeper: of the node.
        settings: how many may wait, and how long.
        needs: what is known of functions; it outlives the node.
    """

    def __init__(self, keeper: Keeper, settings: Settings, needs: Needs) -> None:
        self.keeper = keeper
        self.longest_s = settings.memory_wait_s
        self.running: dict[Place, None] = {}
        """Calls that may have a context."""
        self.free = 0
        """Frames that were free when last looked at."""
        self._queue = settings.memory_queue
        self._waiting: deque[Place] = deque()
        self._needs = needs
        self._left = 0
        """What of the free frames nobody will take who runs."""
        self._listed = self._listing_s = 0.0
        self._changed = asyncio.Event()
        self._making: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    def uses(self, function: str) -> bool:
        """Whether a call of this function runs or waits."""
        return any(place.function == function for place in (*self.running, *self._waiting))

    def uses_snapshot(self, number: int) -> bool:
        """Whether a call runs in a context of this snapshot, so that forgetting it frees little."""
        return any(place.snapshot == number for place in self.running)

    def claim(self, function: Function, may_take_idle: Callable[[], bool]) -> Place:
        """Take a place for a call, or one in the queue; `Place.wait` tells which.

        Args:
            function: what is called.
            may_take_idle: tells whether an idle context would serve, which needs no more memory.

        Raises:
            NodeFullError: as many wait as may.
        """
        place = Place(self, function, may_take_idle)
        if not self._waiting and self._admit(place):
            return place
        if len(self._waiting) >= self._queue:
            raise self.full(place, "cannot wait")
        place.come = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make_room())
        return place

    def leave(self, place: Place) -> None:
        """Take a call out, wherever it is."""
        if place in self.running:
            del self.running[place]
        else:
            with contextlib.suppress(ValueError):
                self._waiting.remove(place)
        self._changed.set()
        # What it leaves may be just what the next one waits for.
        self._advance()

    async def look(self) -> None:
        """See how much memory is free. Raises MachineError."""
        self.free = await self.keeper.node.free_frames()
        self._left = self.free - RESERVED_FRAMES - sum(map(self._to_take, self.running))

    async def close(self) -> None:
        """Send all that wait away; their node ends."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait((self._making,))
        self._send_away()

    async def free_for_refused(self) -> bool:
        """Have something freed, and nobody begin until the memory was looked at again."""
        self._left = min(self._left, 0)
        self.keeper.look_after_memory()
        return await self.keeper.free_something()

    async def change(self) -> None:
        """Wait until a call ends, or for a short while."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_PAUSE_S):
                await self._changed.wait()

    def full(self, place: Place, what: str) -> NodeFullError:
        """Return the error for a call that cannot begin."""
        need, wanted, free, left, whole = (
            f"{max(0, frames) / FRAMES_PER_MIB:.0f}"
            for frames in (
                self._needs.at_first(place.function),
                self._needs.at_first(place.function) + self._needs.margin(place.function),
                self.free,
                self._left,
                self.keeper.node.hardware.memory // PAGE_SIZE,
            )
        )
        return NodeFullError(
            f"{place.name} {what} for memory of the node: it is taken to need {need} MiB, and "
            f"begins when {wanted} MiB are to spare. Of {whole} MiB {free} are free, and {left} "
            f"will be left by the calls that run, which are {len(self.running)}; {self.waiting} "
            f"wait (at most {self._queue}, each {self.longest_s:g} s). Try again later, have fewer "
            "calls run at once, or give the node more memory (--memory).",
            RETRY_S,
        )

    def _to_take(self, place: Place) -> int:
        needs = self._needs.of if place.seen else self._needs.at_first
        return max(0, needs(place.function) - place.owned)

    def _admit(self, place: Place) -> bool:
        idle = self.keeper.idle
        hot = place.function in idle.functions() and place.may_take_idle()
        place.owned, place.seen = (self._needs.kept(place.function), True) if hot else (0, False)
        frames = self._to_take(place)
        # In a context that has about all it needs a call can begin at any time.
        at_hand = hot and frames <= AT_HAND_FRAMES
        if not at_hand and self._left < frames + self._needs.margin(place.function):
            return False
        if hot:
            place.context = idle.take(place.function)
        self._left -= frames
        self.running[place] = None
        return True

    def _advance(self) -> bool:
        """Let those begin that may; return whether the first could."""
        began = False
        while self._waiting:
            place = self._waiting[0]
            assert place.come is not None
            if not place.come.done():
                if not self._admit(place):
                    break
                place.come.set_result(True)
                began = True
            # One that is done already was cancelled.
            self._waiting.popleft()
        return began

    async def _make_room(self) -> None:
        """Look after those that wait, while there are any."""
        node = self.keeper.node
        while self._waiting and node.alive:
            try:
                began = await self._make_some()
            except SeussError as error:
                if node.alive:
                    logger.warning("the node's memory cannot be looked at: %s", error)
                began = False
            if not began:
                await self.change()
        if not node.alive:
            # It says so to those that it serves; these go to another.
            self._send_away()

    async def _make_some(self) -> bool:
        """Let somebody begin, or free something; return False if only others' end will help."""
        await self.look()
        if self._advance():
            return True
        if self._may_list(LISTING_PART):
            await self._look_closely()
            await self.look()
            if self._advance():
                return True
        elif not all(place.seen or self._needs.knows(place.function) for place in self.running):
            # What is held for these may be far too much: nothing goes for that.
            return False
        if await self.keeper.free_something():
            return True
        if not self.running and self._waiting:
            # There will never be more memory than now.
            first = self._waiting[0].function
            self._left = max(self._left, self._needs.at_first(first) + self._needs.margin(first))
            self._advance()
        return False

    async def learn(self) -> None:
        """See what contexts own, if there are any of functions not seen. Raises MachineError."""
        unseen = not all(map(self._needs.knows, self.keeper.idle.functions()))
        if unseen and self._may_list(LEARNING_PART):
            await self._look_closely()

    def _may_list(self, part: int) -> bool:
        pause = max(LIST_PAUSE_S, part * self._listing_s)
        return time.monotonic() >= self._listed + pause

    async def _look_closely(self) -> None:
        """See what each function's contexts own, and so how much more they will take."""
        began = self._listed = time.monotonic()
        # Who comes meanwhile may get a context that is listed as another's.
        places = [*self.running]
        contexts = (await self.keeper.node.list())["contexts"]
        self._listing_s = time.monotonic() - began
        try:
            self._note(contexts, places)
        except (KeyError, TypeError, ValueError):
            error = self.keeper.node.error("The node's list of contexts makes no sense")
            raise error from None

    def _note(self, contexts: Sequence[Mapping[str, Any]], places: Sequence[Place]) -> None:
        origins, idle = self.keeper.origins(), self.keeper.idle
        reused = {place.context: place for place in places if place.context}
        finished: Counter[str] = Counter()
        growing: Counter[str] = Counter()
        rested: dict[str, int] = {}
        under_way: defaultdict[str, list[int]] = defaultdict(list)
        for each in contexts:
            number = int(each["id"])
            frames = int(each["owned_frames"]) + int(each["tables"]) + KERNEL_FRAMES
            peak = max(frames, int(each.get("peak_frames", 0)) + KERNEL_FRAMES)
            place = reused.get(number)
            if place is not None:
                place.owned = frames
            function = idle.function(number) if place is None else place.function
            if function is not None:
                finished[function] = max(finished[function], peak)
                if place is None and not each["busy"]:
                    rested[function] = min(rested.get(function, frames), frames)
                continue
            function = origins.get(int(each["snapshot"]))
            if function is not None and each["busy"]:
                under_way[function].append(frames)
                growing[function] = max(growing[function], peak)
        for function, frames in rested.items():
            self._needs.rested(function, frames)
        for function, frames in finished.items():
            self._needs.finished(function, frames)
        for function, frames in growing.items():
            self._needs.grew(function, frames)
            under_way[function].sort()
        for place in places:
            # Which of a function's contexts is whose shows only in their answers; the largest are
            # taken to be of those that came first.
            if place.context is None and under_way[place.function]:
                place.owned, place.seen = under_way[place.function].pop(), True

    def _send_away(self) -> None:
        for place in self._waiting:
            if place.come is not None and not place.come.done():
                place.come.set_result(False)
        self._waiting.clear()
