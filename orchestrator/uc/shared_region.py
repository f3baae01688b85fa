"""Snapshots' pages once per host: a file that every node maps behind its own memory, read-only."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.errors import RegionFullError, RestoreError, SettingsError
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.machines.shared_memory import SharedMemory
from orchestrator.uc.region_ledger import (
    Entry,
    Extent,
    Ledger,
    LedgerFile,
    lives,
    new_user,
    open_memory,
    space_of_ids,
)
from snapshot_store import PAGE_SIZE, PageSet

logger = logging.getLogger(__name__)

ZERO_FRAME = 2**64 - 1
"""Stands for a frame where the page is all zero."""
REGION_MIB = 256
"""Room for snapshots; pages take memory once they are filled."""
LARGEST_WHOLE = {"microvm": 0xC0000000, "q35": 0xB0000000 - 1}
"""The largest memory that QEMU puts below 4 GiB in one piece (`info mtree` of 7.2)."""
LOW_MEMORY = {"microvm": 0xC0000000, "q35": 0x80000000}
"""What it puts there of a larger one; the rest begins at 4 GiB."""
HIGH_START = 1 << 32
NAME = "seuss-region"
"""How /proc/PID/maps shows the region."""


@dataclass(frozen=True)
class Placed:
    """A snapshot in the region: page numbers ascending, and for each its page in the region."""

    numbers: npt.NDArray[np.uint64]
    indices: npt.NDArray[np.uint64]


def physical_address(hardware: Hardware, offset: int, total: int) -> int:
    """Return where the guest sees byte `offset` of a memory of `total` bytes."""
    low = _low_memory(hardware, total)
    return offset if offset < low else offset - low + HIGH_START


def file_pages(
    hardware: Hardware, frames: npt.NDArray[np.uint64], total: int
) -> npt.NDArray[np.uint64]:
    """Return at which page of its memory's file each physical frame lies."""
    low = _low_memory(hardware, total)
    gap = np.uint64((HIGH_START - low) // PAGE_SIZE)
    high = frames >= np.uint64(HIGH_START // PAGE_SIZE)
    return np.where(high, frames - gap, frames)


def _low_memory(hardware: Hardware, total: int) -> int:
    whole = total <= LARGEST_WHOLE[hardware.machine]
    return total if whole else LOW_MEMORY[hardware.machine]


class SharedRegion:
    """The pages of stored snapshots, each once however many nodes and processes use it.

    With a folder it is the host's one region for an image: every process that names both maps the
    same memory, which is gone with the last of them. Without one it is this process's alone.
    A snapshot's pages lie in it from the first `place` to the last `release`, of all processes; a
    process that dies gives up what it used. May be used by several threads.

    Args:
        size: bytes, whole pages; another process's region keeps the size it has.
        folder: where processes find each other, this user's alone.
        image: what nodes on the region run, by its SHA-256.
    """

    def __init__(
        self,
        size: int = REGION_MIB * MIB,
        folder: pathlib.Path | None = None,
        image: str = "",
    ) -> None:
        self._guard = threading.Lock()
        self._me = new_user()
        self._uses: Counter[str] = Counter()
        self._closed = False
        self.memory: SharedMemory
        """The region itself."""
        self._file: LedgerFile | None = None
        if folder is not None:
            # Of another size it is another region: nodes and kernel agree on where it ends.
            self._file = LedgerFile(folder, f"{image[:16]}-{size // MIB}-{space_of_ids()}")
            if self._join(size):
                return
            self._file = None
        self.memory = SharedMemory(size, NAME)
        self._own = Ledger(os.fstat(self.memory.fd).st_ino, size // PAGE_SIZE)

    @property
    def shared(self) -> bool:
        """Whether other processes find it."""
        return self._file is not None

    def option(self, hardware: Hardware) -> str:
        """Return the kernel's word for where the region lies."""
        total = hardware.memory + self.memory.size
        start = physical_address(hardware, hardware.memory, total)
        return f"seuss.shared={start}@{self.memory.size}"

    def place(self, snapshot: str, pages: PageSet) -> Placed:
        """Put a snapshot's pages into the region, unless they are there, and hold them.

        Each call is to be met by one of `release`. Raises RegionFullError when there is no room,
        RestoreError when the region is closed or its record is gone.
        """
        stored = ~np.asarray(pages.zero)
        with self._guard, self._ledger() as ledger:
            entry = ledger.snapshots.get(snapshot)
            if entry is None:
                entry = self._filled(ledger, snapshot, pages, stored)
            entry.users.add(self._me)
            self._uses[snapshot] += 1
        indices = np.full(len(pages.numbers), ZERO_FRAME, np.uint64)
        indices[stored] = np.concatenate(
            [np.empty(0, np.uint64)]
            + [np.arange(start, start + count, dtype=np.uint64) for start, count in entry.extents]
        )
        return Placed(pages.numbers, indices)

    def release(self, snapshot: str) -> None:
        """Say that one `place` of a snapshot is over; no guest may use its pages by it any more."""
        with self._guard:
            if self._closed or self._uses[snapshot] == 0:
                return
            self._uses[snapshot] -= 1
            if self._uses[snapshot]:
                return
            del self._uses[snapshot]
            # Without the record nobody gives these pages to another: they stay as they are.
            with contextlib.suppress(RestoreError), self._ledger() as ledger:
                self._discard(ledger.drop(self._me, snapshot))

    def close(self) -> None:
        """Give the memory up; nodes that map it keep it until they end. May be called again."""
        with self._guard:
            if self._closed:
                return
            try:
                with contextlib.suppress(RestoreError), self._ledger() as ledger:
                    self._discard(ledger.leave(self._me))
            finally:
                self._closed = True
                self.memory.close()

    def _join(self, size: int) -> bool:
        """Open the host's region, or make it; whether that can be shared."""
        assert self._file is not None
        with self._file.locked():
            ledger = self._file.load()
            unused = [] if ledger is None else _bury(ledger)
            if ledger is None or not ledger.holders:
                self.memory = SharedMemory(size, NAME)
                ledger = Ledger(os.fstat(self.memory.fd).st_ino, size // PAGE_SIZE)
            else:
                found = open_memory(ledger)
                if found is None:
                    logger.warning("the host's shared region cannot be opened; a new one is used")
                    return False
                self.memory = SharedMemory(size, NAME, found)
                self._discard(unused)
            ledger.holders[self._me] = self.memory.fd
            self._file.save(ledger)
            self._inode = ledger.inode
        return True

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        """Be alone with the ledger; what is changed is kept unless the block raises."""
        if self._closed:
            raise RestoreError("The shared region is closed: the node is being ended.")
        if self._file is None:
            yield self._own
            return
        with self._file.locked():
            ledger = self._file.load()
            if ledger is None or ledger.inode != self._inode:
                raise RestoreError(
                    "The record of the shared region is gone from the runtime folder, so no "
                    "snapshot can be put there safely. Start the node again."
                )
            self._discard(_bury(ledger))
            yield ledger
            self._file.save(ledger)

    def _filled(
        self, ledger: Ledger, snapshot: str, pages: PageSet, stored: npt.NDArray[np.bool_]
    ) -> Entry:
        count = int(stored.sum())
        extents = ledger.allocate(count)
        if extents is None:
            room = sum(size for _, size in ledger.free())
            raise RegionFullError(
                f"Snapshot {snapshot} has {count} pages and the shared region has room for {room}. "
                "Stop nodes that are not needed."
            )
        data = pages.take(np.flatnonzero(stored))
        done = 0
        for start, size in extents:
            self.memory.write(start, data[done : done + size])
            done += size
        entry = ledger.snapshots[snapshot] = Entry(extents, set())
        return entry

    def _discard(self, extents: Iterable[Extent]) -> None:
        for start, count in extents:
            self.memory.discard(start, count)


def _bury(ledger: Ledger) -> list[Extent]:
    """Take users of dead processes out of the ledger; return the pages that nobody uses now."""
    users = {*ledger.holders, *(user for each in ledger.snapshots.values() for user in each.users)}
    return [extent for user in users if not lives(user) for extent in ledger.leave(user)]


def check_memory(hardware: Hardware, region: int = REGION_MIB * MIB) -> None:
    """Make sure that a guest sees a region of `region` bytes in one piece.

    Raises SettingsError for a memory that ends where QEMU leaves a hole below 4 GiB.
    """
    total = hardware.memory + region
    start = physical_address(hardware, hardware.memory, total)
    end = physical_address(hardware, total - 1, total) + 1
    if end - start == region:
        return
    low = LOW_MEMORY[hardware.machine] // MIB
    raise SettingsError(
        f"A node of {hardware.memory_mib} MiB cannot share snapshots: on {hardware.machine}, QEMU "
        f"would split the region of {region // MIB} MiB behind its memory around 4 GiB. "
        f"Give --memory at most {low - region // MIB} or at least {low}."
    )
