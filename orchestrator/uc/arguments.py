"""A node's argument snapshots: kept in the node and in the store, so many of each function."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from orchestrator.function import Function
from orchestrator.points import Named, Points, names_of
from orchestrator.turns import Turns
from orchestrator.uc.cache import ArgumentSnapshots
from orchestrator.uc.node import CapturedContext
from orchestrator.uc.shelf import Shelf
from orchestrator.uc.store import StoredContexts
from snapshot_store import Level, Manifest, SeussError, Snapshot

logger = logging.getLogger(__name__)


class Arguments:
    """Argument snapshots by function and key (see `orchestrator.points`).

    Args:
        stored: the store's.
        shelf: brings them there.
        per_function: most that are kept of one function, in the node and in the store.
        stored_as: tells by its number in the node which snapshot of the store a function's is.
        place: takes a stored snapshot into the node, on the one with this number.
        evict: has the node forget a snapshot.
    """

    def __init__(
        self,
        stored: StoredContexts,
        shelf: Shelf,
        per_function: int,
        stored_as: Callable[[int], str | None],
        place: Callable[[Snapshot, int], Awaitable[int]],
        evict: Callable[[int], None],
    ) -> None:
        self.points = Points()
        self.kept = ArgumentSnapshots(per_function)
        self.enabled = per_function > 0
        self._stored = stored
        self._shelf = shelf
        self._per_function = per_function
        self._stored_as = stored_as
        self._place = place
        self._evict = evict
        self._known: OrderedDict[tuple[str, str], Manifest] = OrderedDict()
        self._turns = Turns()

    async def look(self, functions: dict[str, Manifest]) -> None:
        """Find what the store has of these functions' snapshots."""
        for manifest in await self._stored.arguments(functions):
            if manifest.function is not None and manifest.key is not None:
                self._known[manifest.function, manifest.key] = manifest
                self.points.learn(manifest.function, names_of(manifest.key))

    def id_of(self, function: Function, named: Named) -> str | None:
        """Return the id in the store of the snapshot of these values, if it is there."""
        manifest = self._known.get((function.id, named.key))
        return None if manifest is None else manifest.id

    def under_way(self, function: Function, named: Named) -> asyncio.Event | None:
        """Return what is set when the call that takes this snapshot has done so, or has failed."""
        return self._turns.under_way((function.id, named.key))

    def taking(self, function: Function, named: Named) -> contextlib.AbstractContextManager[None]:
        """Have other calls with these values wait for the snapshot that this one takes."""
        return self._turns.taken((function.id, named.key))

    def keep(self, function: Function, named: Named, captured: CapturedContext) -> None:
        """Keep a new snapshot, and store it in a pause; others of the function may go for it."""
        for surplus in self.kept.put(function.id, named.key, captured.snapshot):
            self._evict(surplus)
        self._shelf.soon(self._store(function, named, captured))

    async def find(self, function: Function, named: Named, parent: int | None) -> int | None:
        """Return the number of the snapshot of these values, taken in from the store if need be.

        `parent` is the number of the function's snapshot in the node, if that is there.
        """
        place = (function.id, named.key)
        manifest = self._known.get(place)
        if manifest is not None:
            self._known.move_to_end(place)
        number = self.kept.find(*place)
        if number is not None or manifest is None or parent is None:
            return number
        if self._stored_as(parent) != manifest.parent:
            return None
        with self.taking(function, named):
            try:
                number = await self._place(await self._stored.open(manifest), parent)
            except SeussError as error:
                logger.warning("%s goes to its point again: %s", manifest.label, error)
                self._known.pop(place, None)
                return None
            for surplus in self.kept.put(*place, number):
                self._evict(surplus)
        return number

    def _is_stored(self, place: tuple[str, str], parent: int) -> bool:
        manifest = self._known.get(place)
        return manifest is not None and manifest.parent == self._stored_as(parent)

    async def _store(self, function: Function, named: Named, captured: CapturedContext) -> None:
        place = (function.id, named.key)
        manifest = await self._shelf.store(
            captured.snapshot,
            Level.ARGUMENT,
            named.label,
            lambda: self._stored_as(captured.parent),
            *place,
            # Calls with ever new values must not wear the disk out.
            wanted=lambda: (
                self.kept.holds(*place, captured.snapshot)
                and not self._is_stored(place, captured.parent)
            ),
        )
        if manifest is None:
            return
        self._known[place] = manifest
        mine = [each for each in self._known if each[0] == function.id]
        for surplus in mine[: max(0, len(mine) - self._per_function)]:
            await self._stored.delete(self._known.pop(surplus))
