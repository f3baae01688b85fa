"""Which snapshots stay on disk: those used most for their size, within a budget of bytes."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from orchestrator.platform.database import Database
from snapshot_store import Level, Manifest, SnapshotStore, StoreError

logger = logging.getLogger(__name__)

HALF_LIFE_S: Final = 3600.0
"""A use counts half after so long."""
LEFT: Final = 0.9
"""Share of the budget that is in use after snapshots had to go, so that the next fits."""

FORGOTTEN_S: Final = 3600.0
"""Seconds after its last use from which a snapshot is not awaited in the store any more."""

Use = tuple[float, float]
"""How often a snapshot was used, old uses counting less, and when last (Unix seconds)."""


class Uses:
    """How often each snapshot was used, kept in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._new: Counter[str] = Counter()

    def note(self, snapshot: str) -> None:
        """Count a use; it is on disk after `write`."""
        with self._guard:
            self._new[snapshot] += 1

    def write(self) -> None:
        """Have the database hold all that was counted. Raises DatabaseError."""
        with self._guard:
            new, self._new = self._new, Counter()
        if not new:
            return
        now = time.time()
        known = self.all()
        rows = [
            (snapshot, _aged(known.get(snapshot, (0.0, now)), now) + count, now)
            for snapshot, count in new.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", rows)

        self._database.write(write)

    def all(self) -> dict[str, Use]:
        """Return the uses of every snapshot that was ever used. Raises DatabaseError."""
        rows = self._database.read("SELECT snapshot, count, last FROM uses")
        return {snapshot: (count, last) for snapshot, count, last in rows}

    def forget(self, snapshots: Iterable[str]) -> None:
        """Drop the counts of snapshots that are gone. Raises DatabaseError."""
        gone = [(snapshot,) for snapshot in snapshots]
        self._database.write(
            lambda connection: connection.executemany("DELETE FROM uses WHERE snapshot = ?", gone)
        )


class Budget:
    """Keeps a store's snapshots within `limit` bytes: the least useful that none is built on go.

    Usefulness is uses by bytes; one that was never used counts as used once when it was taken. The
    bases of the images that `images` returns (all, for None) stay, whatever they take.
    """

    def __init__(
        self,
        store: SnapshotStore,
        uses: Uses,
        limit: int,
        images: Callable[[], frozenset[str] | None],
    ) -> None:
        self._store = store
        self._uses = uses
        self._limit = limit
        self._images = images

    def keep(self) -> tuple[str, ...]:
        """Delete what is too much; return the ids of what went, least useful first.

        Raises StoreError, DatabaseError.
        """
        manifests = {manifest.id: manifest for manifest in self._store.list()}
        self._forget_the_gone(manifests)
        total = sum(manifest.stored_bytes for manifest in manifests.values())
        if total <= self._limit:
            return ()
        images = self._images()  # sums of whole files: they are asked for only now
        worth = _worth(manifests, self._uses.all())
        children = Counter(manifest.parent for manifest in manifests.values())
        gone: list[str] = []
        while total > self._limit * LEFT:
            leaves = [
                manifest
                for manifest in manifests.values()
                if children[manifest.id] == 0 and not _stays(manifest, images)
            ]
            if not leaves:
                logger.debug("the bases alone take %d bytes of %d", total, self._limit)
                break
            least = min(leaves, key=lambda manifest: worth[manifest.id])
            del manifests[least.id]
            try:
                self._store.delete(least.id)
            except StoreError as error:
                # Another process deleted it, or built on it, just now.
                logger.info("snapshot %s stays or is gone: %s", least.id, error)
                continue
            gone.append(least.id)
            children[least.parent] -= 1
            total -= least.stored_bytes
        self._uses.forget(gone)
        return tuple(gone)

    def _forget_the_gone(self, manifests: Mapping[str, Manifest]) -> None:
        """Drop the counts of snapshots that others deleted."""
        now = time.time()
        gone = [
            snapshot
            for snapshot, (_, last) in self._uses.all().items()
            if snapshot not in manifests and last < now - FORGOTTEN_S
        ]
        if gone:
            self._uses.forget(gone)


def _stays(manifest: Manifest, images: frozenset[str] | None) -> bool:
    return manifest.level is Level.BASE and (images is None or manifest.image in images)


def _worth(manifests: Mapping[str, Manifest], uses: Mapping[str, Use]) -> dict[str, float]:
    """Return the usefulness of each snapshot: aged uses by byte."""
    now = time.time()
    return {
        id: _aged(uses.get(id, (1.0, manifest.created)), now) / max(1, manifest.stored_bytes)
        for id, manifest in manifests.items()
    }


def _aged(use: Use, now: float) -> float:
    count, last = use
    return float(count * 0.5 ** (max(0.0, now - last) / HALF_LIFE_S))
