"""One life of a node: the machine, its base snapshot, and what it keeps for later requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Self

from orchestrator.anticipation import Anticipation
from orchestrator.errors import CaptureError, RegionFullError
from orchestrator.function import Function
from orchestrator.image import BOOT_DEADLINE_S, check_runtime
from orchestrator.invocation import InvocationError
from orchestrator.rehearsal import REHEARSALS, rehearsal
from orchestrator.settings import Settings
from orchestrator.uc.arguments import Arguments
from orchestrator.uc.cache import FunctionSnapshots, IdleContexts
from orchestrator.uc.multiplexer import Reply
from orchestrator.uc.needs import Needs
from orchestrator.uc.node import UcNode, share_frames
from orchestrator.uc.room import Room
from orchestrator.uc.shelf import Shelf
from orchestrator.uc.store import StoredContexts, export
from orchestrator.wire import SNAPSHOT, Frame
from snapshot_store import Level, Manifest, SeussError, Snapshot

logger = logging.getLogger(__name__)

UNUSED_PAUSE_S = 0.05
"""Least time between two looks for idle UCs that nobody uses."""
FREED_AT_ONCE = 8
"""Share of the idle UCs (one in this many) that is ended when memory is short."""
CHECK_PAUSE_S = 0.05
"""Least time between two looks at the node's free memory."""
RETURN_PAUSE_S = 1.0
"""Least time between two lists of the node's contexts, made to give back pages of the region."""
REHEARSAL_ARGUMENTS = b'{"rehearsal": [1, "two", null]}'


class Life:
    """A running node with a base snapshot; made by `begin`, ended by `close`.

    Keeps so much of the node's memory free that any one UC can use its share of it: ends idle UCs,
    then forgets argument snapshots, then those of functions, the least recently used first.
    """

    def __init__(
        self, node: UcNode, stored: StoredContexts, settings: Settings, needs: Needs
    ) -> None:
        self.node = node
        self.known: dict[str, Manifest] = {}
        """Functions' snapshots in the store, by function."""
        self._stored = stored
        self._settings = settings
        self._rehearsal = rehearsal(settings.runtime)
        self._base_id = ""
        self._shelf = Shelf(node, stored)
        self._stored_as: dict[int, str] = {}
        """Ids in the store of functions' snapshots in the node."""
        self.traffic = self._shelf.traffic
        self.base = 0
        """The base snapshot's number inside the node."""
        self.idle = IdleContexts(settings.hot_per_function, settings.hot_total)
        self._idle_s = settings.hot_idle_s
        self._ending: asyncio.Task[None] | None = None
        self.snapshots = FunctionSnapshots()
        self.arguments = Arguments(
            *(stored, self._shelf, settings.argument_snapshots),
            stored_as=self._stored_as.get,
            place=self._placed,
            evict=self._evict_soon,
        )
        self.importing: dict[str, asyncio.Event] = {}
        """Functions being imported by a first call; set once their snapshot can be looked for."""
        # A UC's share, as calls find it when they begin, and what begins between two looks.
        self._reserve = share_frames(node.hardware) * 5 // 4
        self.room = Room(self, settings, needs)
        self._look: asyncio.Task[None] | None = None
        self._look_again = False
        self._next_return = 0.0

    @classmethod
    async def begin(
        cls, node: UcNode, stored: StoredContexts, settings: Settings, needs: Needs
    ) -> Self:
        """Take the base snapshot in a started node, from the store or new. Raises SeussError."""
        life = cls(node, stored, settings, needs)
        if not await life._restore_base():
            await life._take_base()
        if settings.ao is Anticipation.FULL:
            await life._rehearse_paths()
        await life.room.look()
        return life

    async def _restore_base(self) -> bool:
        """Take the base in from the store; return whether that worked."""
        try:
            found = await self._stored.base()
            if found is None:
                return False
            self.base = await self._stored.bring_in(self.node, found, 0)
        except SeussError as error:
            logger.warning("the stored base cannot be used, a new one is taken: %s", error)
            return False
        self._base_id = found.id
        self.known = await self._stored.functions(found.id)
        await self.arguments.look(self.known)
        return True

    async def _take_base(self) -> None:
        started = time.monotonic()
        node = self.node
        context = await node.boot()
        check_runtime(self._settings.image, self._settings.runtime, node.ready)
        if self._settings.ao is not Anticipation.NONE:
            await node.optimise(context, self._settings.ao)
        if self._settings.ao is Anticipation.FULL:
            for _ in range(REHEARSALS):
                await self._rehearse(context)
                await node.unload(context)
        captured = await node.capture(context)
        self.base = captured.snapshot
        await node.end(context)
        exported = await export(node, self.base)
        self._base_id = (await self._stored.commit(exported, Level.BASE, "base")).id
        logger.info("base of %d pages taken in %.1f s", captured.pages, time.monotonic() - started)

    async def close(self) -> None:
        """Store what is not stored yet, and end the node."""
        await self.room.close()
        await self.flush()
        for background in (self._look, self._ending):
            if background is not None:
                background.cancel()
        await self.node.close()

    async def flush(self) -> None:
        """Wait until what was captured is stored."""
        await self._shelf.flush()

    def keep_idle(self, function: str, context: int) -> None:
        """Keep a UC that has served a request for the function's next one."""
        for surplus in self.idle.add(function, context):
            self.node.end_soon(surplus)
        if self._ending is None or self._ending.done():
            self._ending = asyncio.create_task(self._end_unused())
        self.look_after_memory()

    def keep_captured(self, function: Function, number: int) -> None:
        """Keep a function's new snapshot, in place of an older one, and store it in a pause."""
        replaced = self.snapshots.put(function.id, number)
        self._shelf.soon(self._store_function(function, number))
        if replaced is not None:
            self._evict_soon(replaced)

    async def bring_in(self, function: Function) -> int | None:
        """Take a function's snapshot in from the store; return its number, or None."""
        manifest = self.known.get(function.id)
        if manifest is None:
            return None
        try:
            number = await self._placed(await self._stored.open(manifest), self.base)
        except SeussError as error:
            logger.warning("%s is imported again: %s", function.name, error)
            self.known.pop(function.id, None)
            return None
        self._stored_as[number] = manifest.id
        replaced = self.snapshots.put(function.id, number)
        if replaced is not None:
            self._evict_soon(replaced)
        return number

    async def _placed(self, snapshot: Snapshot, parent: int) -> int:
        """Take a snapshot in on `parent`; where the region is full, give others' pages back."""
        while True:
            try:
                return await self._stored.bring_in(self.node, snapshot, parent)
            except RegionFullError:
                if not await self._forget_borrowed(parent):
                    raise
                await self.node.give_back()

    async def _forget_borrowed(self, needed: int) -> bool:
        """Forget a snapshot of pages in the region, but for `needed`; return if there was any."""

        def wanted(number: int) -> bool:
            return number != needed and self.node.borrowed.borrows(number)

        number = self.arguments.kept.pop_first(wanted)
        contexts: list[int] = []
        if number is None:
            oldest = self.snapshots.pop_first(wanted)
            if oldest is None:
                return False
            function, number = oldest
            contexts = self.idle.pop_all(function)
        logger.info("the shared region is full: a snapshot was forgotten")
        await asyncio.gather(*(self.node.end(context) for context in contexts), self._evict(number))
        return True

    def drop_captured(self, capture: asyncio.Future[Reply]) -> None:
        """Forget the snapshot of a capture, now done, that nobody waits for any more."""
        reply = capture.result()
        if reply.error is None:
            self.drop(reply)

    def drop(self, captured: Reply | Frame) -> None:
        """Forget the snapshot that a capture came to."""
        self._evict_soon(self.node.captured(captured).snapshot)

    def look_after_memory(self) -> None:
        """Have the node's free memory looked at soon, off the request path."""
        self._look_again = True
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._keep_memory_free())

    async def free_something(self) -> bool:
        """End the UCs, or else forget a snapshot, unused longest; return whether there was any.

        A snapshot that calls use stays: forgetting it would free nothing before they end.
        """
        contexts = self.idle.pop_oldest(max(1, len(self.idle) // FREED_AT_ONCE))
        if contexts:
            logger.info("memory is short: %d idle contexts ended", len(contexts))
            await asyncio.gather(*(self.node.end(context) for context in contexts))
            return True
        snapshot = self.arguments.kept.pop_first(lambda each: not self.room.uses_snapshot(each))
        if snapshot is None:
            functions = self.snapshots.origins()
            oldest = self.snapshots.pop_first(lambda each: not self.room.uses(functions[each]))
            snapshot = None if oldest is None else oldest[1]
        if snapshot is None:
            return False
        logger.info("memory is short: a snapshot was forgotten")
        await self._evict(snapshot)
        return True

    def origins(self) -> dict[int, str]:
        """Return the functions whose snapshots are in the node, by the snapshots' numbers."""
        return self.snapshots.origins() | self.arguments.kept.origins()

    async def _end_unused(self) -> None:
        """End idle UCs as they become unused for too long, while there are any."""
        while len(self.idle) and self.node.alive:
            await asyncio.sleep(max(UNUSED_PAUSE_S, self._idle_s - self.idle.longest()))
            for context in self.idle.pop_unused(self._idle_s):
                self.node.end_soon(context)

    async def _store_function(self, function: Function, number: int) -> None:
        manifest = await self._shelf.store(
            number, Level.FUNCTION, function.name, lambda: self._base_id, function.id
        )
        if manifest is not None:
            self.known[function.id] = manifest
            self._stored_as[number] = manifest.id

    def _evict_soon(self, number: int) -> None:
        self._shelf.soon(self._evict(number))

    async def _evict(self, number: int) -> None:
        await self._shelf.evict(number)
        self._stored_as.pop(number, None)
        self.look_after_memory()

    async def _keep_memory_free(self) -> None:
        # A node that ends meanwhile has said so to the requests it served.
        with contextlib.suppress(SeussError):
            while self._look_again and self.node.alive:
                self._look_again = False
                await asyncio.sleep(CHECK_PAUSE_S)
                await self.room.look()
                # Where calls wait, the room makes as much as these need.
                while self.room.free < self._reserve and not self.room.waiting:
                    if not await self.free_something():
                        break
                    await self.room.look()
                await self.room.learn()
                if time.monotonic() >= self._next_return:
                    self._next_return = time.monotonic() + RETURN_PAUSE_S
                    await self.node.give_back()

    async def _rehearse(self, context: int) -> int:
        loaded = await self.node.load(context, self._rehearsal, BOOT_DEADLINE_S)
        context = self._must(loaded).context
        self._must(await self.node.invoke(context, REHEARSAL_ARGUMENTS, BOOT_DEADLINE_S))
        return context

    async def _rehearse_paths(self) -> None:
        """Go each way once, so that what the accelerator translates is translated ahead."""
        for _ in range(REHEARSALS):
            cold = self._must(
                await self.node.load(SNAPSHOT | self.base, self._rehearsal, BOOT_DEADLINE_S)
            ).context
            function = (await self.node.capture(cold)).snapshot
            self._must(await self.node.invoke(cold, REHEARSAL_ARGUMENTS, BOOT_DEADLINE_S))
            warm = self._must(
                await self.node.invoke(SNAPSHOT | function, REHEARSAL_ARGUMENTS, BOOT_DEADLINE_S)
            ).context
            await asyncio.gather(
                self.node.end(cold), self.node.end(warm), self.node.evict(function)
            )

    def _must(self, reply: Reply) -> Reply:
        error: InvocationError | None = reply.error
        if error is not None:
            raise CaptureError(
                f"The rehearsal before the base snapshot failed: {error.kind}: {error.message} "
                "Rebuild the image with make image.",
                log_tail=self.node.machine.log_tail,
            )
        return reply
