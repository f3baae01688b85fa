"""Brings a node's snapshots to the store, one by one and in pauses, and has it forget them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine

from orchestrator.traffic import Traffic
from orchestrator.uc.node import UcNode
from orchestrator.uc.store import StoredContexts, export
from snapshot_store import Level, Manifest, SeussError

logger = logging.getLogger(__name__)

STORE_PAUSE_S = 0.01
"""A snapshot is stored when no request came for so long."""
LONGEST_WAIT_S = 1.0
"""It is stored at last when no such pause came for so long."""


class Shelf:
    """What a node does with its snapshots beside serving; nothing of it is on a request's path."""

    def __init__(self, node: UcNode, stored: StoredContexts) -> None:
        self.traffic = Traffic()
        """Requests under way: snapshots are stored between them."""
        self._node = node
        self._stored = stored
        self._under_way: set[asyncio.Task[None]] = set()
        self._exporting = asyncio.Lock()
        self._committing = asyncio.Lock()

    def soon(self, work: Coroutine[None, None, None]) -> None:
        """Have something done that `flush` waits for."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def flush(self) -> None:
        """Wait until all that was begun is done."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def evict(self, number: int) -> None:
        """Have the node forget a snapshot; waits while one is being read out."""
        async with self._exporting:
            await self._node.evict(number)

    async def store(
        self,
        number: int,
        level: Level,
        label: str,
        parent: Callable[[], str | None],
        function: str,
        key: str | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Manifest | None:
        """Store a snapshot in the next pause; None, and the log says why, if that fails.

        It is not stored when it is not `wanted` any more by then, or has no `parent` in the store.
        """
        try:
            async with self._committing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST_WAIT_S):
                        await self.traffic.gap(STORE_PAUSE_S)
                # Its frames are read here, so it must not go meanwhile.
                async with self._exporting:
                    parent_id = parent()
                    if parent_id is None or not wanted():
                        return None
                    exported = await export(self._node, number)
                return (
                    await self._stored.commit(exported, level, label, parent_id, function, key)
                ).manifest
        except SeussError as error:
            logger.warning("the snapshot of %s is not stored: %s", label, error)
            return None
