"""Which pages of a shared region are whose: the record that all processes of a host agree on.

A host has one region for an image. Its memory is an anonymous file, so nothing is left of it when
its last user is gone, however that ended; the ledger says who has it open, and a process that comes
later opens it through one of those. Whoever holds the ledger's lock may change ledger and pages.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_numbers = itertools.count()

Extent = tuple[int, int]
"""First page in the region, and how many follow on each other."""


@dataclass
class Entry:
    """A snapshot's pages in the region, in their order, and their users."""

    extents: list[Extent]
    users: set[str]


@dataclass
class Ledger:
    """A region's users by name with their descriptors of it, and the snapshots in it."""

    inode: int
    """Which file the region is."""
    pages: int
    holders: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Entry] = field(default_factory=dict)

    def free(self) -> list[Extent]:
        """Return the pages that no snapshot has, in order."""
        taken = sorted(extent for each in self.snapshots.values() for extent in each.extents)
        gaps, end = [], 0
        for start, count in [*taken, (self.pages, 0)]:
            if start > end:
                gaps.append((end, start - end))
            end = start + count
        return gaps

    def allocate(self, count: int) -> list[Extent] | None:
        """Return where so many pages can go, or None; nothing is taken yet."""
        found = []
        for start, size in self.free():
            if count == 0:
                break
            piece = min(count, size)
            found.append((start, piece))
            count -= piece
        return None if count else found

    def drop(self, user: str, snapshot: str) -> list[Extent]:
        """Note that a user needs a snapshot no longer; return the pages that nobody uses now."""
        entry = self.snapshots.get(snapshot)
        if entry is None:
            return []
        entry.users.discard(user)
        if entry.users:
            return []
        del self.snapshots[snapshot]
        return entry.extents

    def leave(self, user: str) -> list[Extent]:
        """Note that a user is gone; return the pages that nobody uses now."""
        self.holders.pop(user, None)
        return [extent for each in [*self.snapshots] for extent in self.drop(user, each)]

    def to_json(self) -> dict[str, Any]:
        """Return the ledger as a JSON object."""
        snapshots = {
            name: {"extents": each.extents, "users": sorted(each.users)}
            for name, each in self.snapshots.items()
        }
        return {
            "inode": self.inode,
            "pages": self.pages,
            "holders": self.holders,
            "snapshots": snapshots,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Ledger:
        """Read what `to_json` returned. Raises KeyError, TypeError or ValueError."""
        snapshots = {
            name: Entry([(int(a), int(b)) for a, b in each["extents"]], set(each["users"]))
            for name, each in told["snapshots"].items()
        }
        return cls(int(told["inode"]), int(told["pages"]), dict(told["holders"]), snapshots)


class LedgerFile:
    """The ledger on disk, in a folder that is this user's alone.

    Args:
        folder: the folder; made if need be.
        key: what the region is for.
    """

    def __init__(self, folder: pathlib.Path, key: str) -> None:
        self._path = folder / f"{key}.json"
        self._lock = folder / f"{key}.lock"

    def load(self) -> Ledger | None:
        """Return the ledger, None if there is none that can be read; the lock must be held."""
        try:
            return Ledger.from_json(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def save(self, ledger: Ledger) -> None:
        """Write the ledger, whole at any time; one without holders is removed with its lock."""
        if not ledger.holders:
            self._path.unlink(missing_ok=True)
            self._lock.unlink(missing_ok=True)
            return
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(ledger.to_json()), encoding="utf-8")
        aside.replace(self._path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process with the ledger. Raises OSError."""
        self._lock.parent.mkdir(mode=0o700, exist_ok=True)
        while True:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # The last user removes the file; who waited on it then holds the lock of nothing.
                if _same_file(descriptor, self._lock):
                    yield
                    return
            finally:
                os.close(descriptor)


def new_user() -> str:
    """Return a name for a user in this process: its id, its start, and a number of its own."""
    name = _name_of(os.getpid())
    assert name is not None
    return f"{name}-{next(_numbers)}"


def lives(user: str) -> bool:
    """Whether the process of that user still runs."""
    return _name_of(_process(user)) == user.rpartition("-")[0]


def space_of_ids() -> str:
    """Return what process ids are unique in: the PID namespace, by number."""
    return str(pathlib.Path("/proc/self/ns/pid").stat().st_ino)


def open_memory(ledger: Ledger) -> int | None:
    """Open the region's memory through one of its users; None if none of them lets us."""
    for user, number in ledger.holders.items():
        path = f"/proc/{_process(user)}/fd/{number}"
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            if lives(user) and os.fstat(descriptor).st_ino == ledger.inode:
                return descriptor
            os.close(descriptor)
    return None


def _process(user: str) -> int:
    return int(user.partition("-")[0])


def _name_of(pid: int) -> str | None:
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else f"{pid}-{start}"


def _same_file(descriptor: int, path: pathlib.Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
