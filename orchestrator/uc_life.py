"""One life of a node: the machine, its base snapshot, and what it keeps for later requests."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Self

from orchestrator.errors import CaptureError
from orchestrator.invocation import InvocationError
from orchestrator.multiplexer import Reply
from orchestrator.node import BOOT_DEADLINE_S, REHEARSAL, REHEARSALS
from orchestrator.uc_cache import FunctionSnapshots, IdleContexts
from orchestrator.uc_node import UC_MEMORY_PART, UcNode
from orchestrator.wire import SNAPSHOT
from snapshot_store.pageset import PAGE_SIZE

logger = logging.getLogger(__name__)

IDLE_PER_FUNCTION = 8
IDLE_IN_ALL = 512
FREED_AT_ONCE = 8
"""Share of the idle UCs (one in this many) that is ended when memory is short."""
CHECK_PAUSE_S = 0.05
"""Least time between two looks at the node's free memory."""
REHEARSAL_ARGUMENTS = b'{"rehearsal": [1, "two", null]}'


class Life:
    """A running node with a base snapshot; made by `begin`, ended by `close`.

    Keeps so much of the node's memory free that any one UC can use its share of it: ends idle UCs,
    then forgets function snapshots, the least recently used first.
    """

    def __init__(self, node: UcNode) -> None:
        self.node = node
        self.base = 0
        """The base snapshot's number inside the node."""
        self.idle = IdleContexts(IDLE_PER_FUNCTION, IDLE_IN_ALL)
        self.snapshots = FunctionSnapshots()
        self.importing: dict[str, asyncio.Event] = {}
        """Functions being imported by a first call; set once their snapshot can be looked for."""
        # A UC's share, and as much again as the kernel and new UCs need meanwhile.
        self._reserve = node.hardware.memory // PAGE_SIZE // UC_MEMORY_PART * 5 // 4
        self._look: asyncio.Task[None] | None = None
        self._look_again = False

    @classmethod
    async def begin(cls, node: UcNode, ao: bool) -> Self:
        """Take the base snapshot in a started node. Raises SeussError."""
        started = time.monotonic()
        life = cls(node)
        context = await node.boot()
        if ao:
            await node.optimise(context)
            for _ in range(REHEARSALS):
                await life._rehearse(context)
                await node.unload(context)
        captured = await node.capture(context)
        life.base = captured.snapshot
        await node.end(context)
        if ao:
            await life._rehearse_paths()
        logger.info("base of %d pages taken in %.1f s", captured.pages, time.monotonic() - started)
        return life

    async def close(self) -> None:
        """End the node."""
        if self._look is not None:
            self._look.cancel()
        await self.node.close()

    def keep_idle(self, function: str, context: int) -> None:
        """Keep a UC that has served a request for the function's next one."""
        for surplus in self.idle.add(function, context):
            self.node.end_soon(surplus)
        self.look_after_memory()

    def keep_snapshot(self, function: str, number: int) -> None:
        """Keep a function's snapshot, in place of an older one."""
        replaced = self.snapshots.put(function, number)
        if replaced is not None:
            self.node.evict_soon(replaced)

    def look_after_memory(self) -> None:
        """Have the node's free memory looked at soon, off the request path."""
        self._look_again = True
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._keep_memory_free())

    async def free_something(self) -> bool:
        """End the UCs, or else forget a snapshot, unused longest; return whether there was any."""
        contexts = self.idle.pop_oldest(max(1, len(self.idle) // FREED_AT_ONCE))
        if contexts:
            logger.info("memory is short: %d idle contexts ended", len(contexts))
            await asyncio.gather(*(self.node.end(context) for context in contexts))
            return True
        snapshots = self.snapshots.pop_oldest(1)
        if snapshots:
            logger.info("memory is short: a function's snapshot was forgotten")
            await asyncio.gather(*(self.node.evict(snapshot) for snapshot in snapshots))
        return bool(snapshots)

    async def _keep_memory_free(self) -> None:
        while self._look_again and self.node.alive:
            self._look_again = False
            await asyncio.sleep(CHECK_PAUSE_S)
            while self.node.alive and await self.node.free_frames() < self._reserve:
                if not await self.free_something():
                    break

    async def _rehearse(self, context: int) -> int:
        loaded = await self.node.load(context, REHEARSAL, BOOT_DEADLINE_S)
        context = self._must(loaded).context
        self._must(await self.node.invoke(context, REHEARSAL_ARGUMENTS, BOOT_DEADLINE_S))
        return context

    async def _rehearse_paths(self) -> None:
        """Go each way once, so that what the accelerator translates is translated ahead."""
        for _ in range(REHEARSALS):
            cold = self._must(
                await self.node.load(SNAPSHOT | self.base, REHEARSAL, BOOT_DEADLINE_S)
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
