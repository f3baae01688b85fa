"""A dispatcher's snapshots: ready in memory, and on their way to the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from orchestrator.function import Function
from orchestrator.vm.capture import Captured
from orchestrator.vm.node import Base, VmNode
from orchestrator.vm.tails import Tail, Tails
from snapshot_store import (
    CorruptSnapshotError,
    PageSet,
    Plan,
    SeussError,
    UnknownSnapshotError,
)

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

MOST_UNSTORED = 8
"""Snapshots on their way to the disk; with so many, a cold call waits before it begins."""


class Keeping:
    """Keeps functions' snapshots, and does in the background what no call waits for."""

    def __init__(self, node: VmNode) -> None:
        self.tails = Tails()
        self.unstored: set[asyncio.Task[None]] = set()
        """Snapshots being stored."""
        self._node = node
        self._naming: dict[asyncio.Task[Any], str] = {}
        """What is being kept in memory, and what it will be called there."""
        self._making: dict[str, asyncio.Event] = {}
        """Functions that a first call imports; set once that is captured, or failed."""

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk."""
        while self._naming or self.unstored:
            await asyncio.wait(self._naming or self.unstored)

    async def room(self) -> None:
        """Wait while too many snapshots are on their way to the disk."""
        while len(self.unstored) >= MOST_UNSTORED:
            await asyncio.wait(self.unstored, return_when=asyncio.FIRST_COMPLETED)

    async def settled(self, base: Base, function: Function) -> Tail | None:
        """Return the function's tail, after the import that makes it if one is under way.

        Nothing is awaited between the last look and a return of None, so that the caller can be
        the first who imports.
        """
        tail = await self.find(base, function)
        if tail is None and function.id in self._making:
            # Whoever waited for one that failed does not wait for the next.
            await self._making[function.id].wait()
        if tail is None:
            await self.named(function.id)
        return tail or self.tails.get(function.id)

    async def named(self, place: str) -> None:
        """Wait until what was captured can be looked for in memory."""
        under_way = [task for task, name in self._naming.items() if name == place]
        if under_way:
            await asyncio.wait(under_way)

    @contextlib.contextmanager
    def first(self, function: Function) -> Iterator[None]:
        """Have other calls of the function wait for this one's import."""
        mine = self._making.setdefault(function.id, asyncio.Event())
        try:
            yield
        finally:
            mine.set()
            if self._making.get(function.id) is mine:
                del self._making[function.id]

    def captured(
        self, base: Base, captured: Captured, function: Function
    ) -> asyncio.Task[str | None]:
        """Keep what was captured of a function, in the background; return what will be its id."""
        naming = self.soon(self._name(base, captured, function), function.id)
        if function.id in self._making:
            self._making[function.id].set()
        return naming

    async def find(self, base: Base, function: Function) -> Tail | None:
        """Return the function's snapshot ready to be sent, from memory or from the store."""
        tail = self.tails.get(function.id)
        if tail is None:
            tail = await asyncio.to_thread(self._read, base, function)
            if tail is not None:
                self.tails.keep(function.id, tail)
        return tail

    def _read(self, base: Base, function: Function) -> Tail | None:
        manifest = self._node.find_function(base, function)
        if manifest is None:
            return None
        try:
            snapshot = self._node.store.open(manifest.id, verify=True)
        except (CorruptSnapshotError, UnknownSnapshotError) as error:
            # Damaged, or deleted just now. The cold path that follows takes another.
            logger.warning("%s. %s is captured anew", error.message, function.name)
            return None
        return _function_tail(base, function, snapshot.id, snapshot.pages(), snapshot.state())

    async def _name(self, base: Base, captured: Captured, function: Function) -> str | None:
        """Return the id of the function's snapshot, and see to its being stored.

        A function has one: where it is there already, what was captured is dropped. None when it
        cannot be stored.
        """
        if self.tails.get(function.id) is None:
            try:
                tail, plan = await asyncio.to_thread(self._planned, base, captured, function)
            except SeussError as error:
                logger.warning("%s is not kept as a snapshot: %s", function.name, error.message)
                return None
            if self.tails.get(function.id) is None:  # no other call came first
                self.tails.keep(function.id, tail)
                if plan is not None:
                    self.store_soon(self._stored(plan, function))
                return tail.snapshot
        kept = self.tails.get(function.id)
        return None if kept is None else kept.snapshot

    def _planned(
        self, base: Base, captured: Captured, function: Function
    ) -> tuple[Tail, Plan | None]:
        stored = self._read(base, function)
        if stored is not None:
            return stored, None
        plan = self._node.plan_function(base, captured, function)
        tail = _function_tail(base, function, plan.id, captured.pages, captured.state)
        return tail, plan

    def soon(self, work: Coroutine[Any, Any, Result], place: str) -> asyncio.Task[Result]:
        """Have something kept in memory in the background; `named` and `flush` wait for it."""
        task = asyncio.create_task(work)
        self._naming[task] = place
        task.add_done_callback(self._naming.pop)
        return task

    def store_soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Have a snapshot stored in the background; `flush` waits for it."""
        storing = asyncio.create_task(work)
        self.unstored.add(storing)
        storing.add_done_callback(self.unstored.discard)

    async def _stored(self, plan: Plan, function: Function) -> None:
        try:
            snapshot = await self._node.carry_out(plan)
        except SeussError as error:
            logger.warning(
                "snapshot %s of %s is lost: %s", *(plan.id, function.name, error.message)
            )
        else:
            if snapshot.id == plan.id:
                return
        # It must not be named again: it is not in the store, or not under that id.
        self.tails.drop(function.id)


def _function_tail(
    base: Base, function: Function, snapshot: str, pages: PageSet, state: bytes
) -> Tail:
    stream = base.origin.tail(pages, state)
    return Tail(snapshot, stream, pages if function.mentions_point else None)
