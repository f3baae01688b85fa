"""Snapshots' pages once per host: a file that every node maps behind its own memory, read-only."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.errors import RestoreError
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.machines.shared_memory import SharedMemory
from snapshot_store import PAGE_SIZE, PageSet

ZERO_FRAME = 2**64 - 1
"""Stands for a frame where the page is all zero."""
REGION_MIB = 256
"""Room for snapshots; pages take memory once they are filled."""
LARGEST_WHOLE = {"microvm": 0xC0000000, "q35": 0xB0000000 - 1}
"""The largest memory that QEMU puts below 4 GiB in one piece (`info mtree` of 7.2)."""
LOW_MEMORY = {"microvm": 0xC0000000, "q35": 0x80000000}
"""What it puts there of a larger one; the rest begins at 4 GiB."""
HIGH_START = 1 << 32


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
    """The pages of stored snapshots, each once however many nodes use it.

    Nodes hold on to what they imported until they end, so nothing is taken back before the region
    is closed; a snapshot for which there is no room is simply not imported.
    """

    def __init__(self, size: int = REGION_MIB * MIB) -> None:
        self.memory = SharedMemory(size, "seuss-region")
        self._used = 0
        self._placed: dict[str, Placed] = {}
        self._lock = threading.Lock()
        self._closed = False

    def fits(self, hardware: Hardware) -> bool:
        """Whether the guest would see the region in one piece."""
        total = hardware.memory + self.memory.size
        start = physical_address(hardware, hardware.memory, total)
        end = physical_address(hardware, total - 1, total) + 1
        return end - start == self.memory.size

    def option(self, hardware: Hardware) -> str:
        """Return the kernel's word for where the region lies."""
        total = hardware.memory + self.memory.size
        start = physical_address(hardware, hardware.memory, total)
        return f"seuss.shared={start}@{self.memory.size}"

    def place(self, snapshot: str, pages: PageSet) -> Placed:
        """Put a snapshot's pages into the region, unless they are there; call it in any thread.

        Raises RestoreError when there is no room, or the region was closed.
        """
        # Two at a time would fill the same pages; and once closed, the file's number is another's.
        with self._lock:
            if self._closed:
                raise RestoreError(
                    f"Snapshot {snapshot} cannot be shared: the nodes are being ended."
                )
            if snapshot not in self._placed:
                self._placed[snapshot] = self._fill(snapshot, pages)
            return self._placed[snapshot]

    def close(self) -> None:
        """Give the memory up; nodes that map it keep it until they end."""
        with self._lock:
            self._closed = True
            self.memory.close()

    def _fill(self, snapshot: str, pages: PageSet) -> Placed:
        stored = ~np.asarray(pages.zero)
        count = int(stored.sum())
        room = self.memory.size // PAGE_SIZE - self._used
        if count > room:
            raise RestoreError(
                f"Snapshot {snapshot} has {count} pages and the shared region has room for {room}. "
                "Start the node again to begin with an empty region."
            )
        indices = np.full(len(pages.numbers), ZERO_FRAME, np.uint64)
        indices[stored] = np.arange(self._used, self._used + count, dtype=np.uint64)
        self.memory.write(self._used, pages.take(np.flatnonzero(stored)))
        self._used += count
        return Placed(pages.numbers, indices)
