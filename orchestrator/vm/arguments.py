"""Argument snapshots of machines: in memory as tails, in the store so many of each function."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from orchestrator.function import Function
from orchestrator.points import Named, Points, names_of
from orchestrator.turns import Turns
from orchestrator.vm.capture import Captured
from orchestrator.vm.keeping import Keeping
from orchestrator.vm.node import Base, VmNode
from orchestrator.vm.tails import Tail
from snapshot_store import (
    CorruptSnapshotError,
    PageSet,
    SeussError,
    UnknownSnapshotError,
)

logger = logging.getLogger(__name__)


class Arguments:
    """Argument snapshots by function and key (see `orchestrator.points`).

    Args:
        node: has the store.
        keeping: keeps them in memory, with those of functions, and stores them.
        per_function: most that are kept of one function in the store.
    """

    def __init__(self, node: VmNode, keeping: Keeping, per_function: int) -> None:
        self.points = Points()
        self.turns = Turns()
        self.enabled = per_function > 0
        self._node = node
        self._keeping = keeping
        self._per_function = per_function

    async def look(self, function: Function, parent: Tail) -> None:
        """Learn the names of a function's point from the store, if it has a snapshot there."""
        found = await asyncio.to_thread(self._node.find_arguments, function, parent.snapshot)
        names = names_of(found[0].key or "") if found and parent.snapshot is not None else None
        if names is not None:
            self.points.learn(function.id, names)

    async def find(self, base: Base, function: Function, parent: Tail, named: Named) -> Tail | None:
        """Return the snapshot of these values, from memory or from the store."""
        place = place_of(function, named)
        tail = self._keeping.tails.get(place)
        if tail is None and parent.snapshot is not None:
            tail = await asyncio.to_thread(self._read, base, function, parent, named)
            if tail is not None:
                self._keeping.tails.keep(place, tail)
        return tail

    async def keep(
        self,
        base: Base,
        function: Function,
        parent: Tail,
        named: Named,
        captured: Captured,
    ) -> Tail:
        """Keep a new snapshot in memory; `store` brings it to the disk."""
        assert parent.pages is not None
        layers = [parent.pages, captured.pages]
        tail = await asyncio.to_thread(
            lambda: Tail(None, base.origin.tail(PageSet.merged(layers), captured.state))
        )
        self._keeping.tails.keep(place_of(function, named), tail)
        return tail

    def store(
        self,
        function: Function,
        parent: Tail,
        named: Named,
        captured: Captured,
    ) -> None:
        """Have a new snapshot stored in the background, after its parent.

        Only so many are kept of one function, the newest: its callers choose the values.
        """
        before = {*self._keeping.unstored}
        self._keeping.store_soon(self._store(function, parent, named, captured, before))

    async def _store(
        self,
        function: Function,
        parent: Tail,
        named: Named,
        captured: Captured,
        before: Collection[asyncio.Task[None]],
    ) -> None:
        if before:
            await asyncio.wait(before)
        place = place_of(function, named)
        tail = self._keeping.tails.get(place)
        if tail is None or parent.snapshot is None:
            return
        try:
            plan = await asyncio.to_thread(
                self._node.plan_argument, captured, parent.snapshot, function, named
            )
            snapshot = await self._node.carry_out(plan)
            await asyncio.to_thread(self._delete_surplus, function)
        except SeussError as error:
            logger.warning("%s is not stored: %s", named.label, error.message)
        else:
            self._keeping.tails.keep(place, Tail(snapshot.id, tail.stream))

    def _read(self, base: Base, function: Function, parent: Tail, named: Named) -> Tail | None:
        found = self._node.find_arguments(function, parent.snapshot)
        manifest = next((each for each in found if each.key == named.key), None)
        if manifest is None:
            return None
        try:
            snapshot = self._node.store.open(manifest.id, verify=True)
            pages = snapshot.merged_pages(above=base.snapshot.id, verify=True)
        except (CorruptSnapshotError, UnknownSnapshotError) as error:
            # Damaged, or deleted just now. The call that follows takes another.
            logger.warning("%s. %s is captured anew", error.message, named.label)
            return None
        return Tail(snapshot.id, base.origin.tail(pages, snapshot.state()))

    def _delete_surplus(self, function: Function) -> None:
        for manifest in self._node.find_arguments(function)[self._per_function :]:
            try:
                self._node.store.delete(manifest.id)
            except UnknownSnapshotError:
                continue  # another process was faster


def place_of(function: Function, named: Named) -> str:
    """Return what a snapshot of these values is called in memory."""
    return f"{function.id} {named.key}"
