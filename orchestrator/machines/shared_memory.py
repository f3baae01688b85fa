"""Memory that a guest and the host see at the same time: an anonymous file mapped shared."""

from __future__ import annotations

import mmap
import os
import weakref
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from snapshot_store.pageset import PAGE_SIZE


class SharedMemory:
    """A memfd of zeroes that the host maps and reads while machines use it.

    Pages take memory once they are written. It goes back to the host when the file and the last
    machine on it are closed.

    Args:
        size: bytes, whole pages.
        name: how /proc/PID/maps and smaps show it.
        descriptor: an open memfd to take over instead of a new one; `size` must be its own.
    """

    def __init__(self, size: int, name: str = "seuss-node", descriptor: int | None = None) -> None:
        made = descriptor is None
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC) if descriptor is None else descriptor
        try:
            if made:
                os.ftruncate(self.fd, size)
            self._map = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
        except BaseException:
            os.close(self.fd)
            raise
        self.size = size
        self._finalizer = weakref.finalize(self, _release, self._map, self.fd)

    def pages(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Copy out the pages `numbers` (shape (n,)): shape (n, 4096).

        Raises IndexError for a number outside the file: a guest named it.
        """
        whole = np.frombuffer(self._map, np.uint8).reshape(-1, PAGE_SIZE)
        if len(numbers) and int(numbers.max()) >= len(whole):
            raise IndexError(f"page {int(numbers.max())} of {len(whole)}")
        copied: npt.NDArray[np.uint8] = whole[numbers.astype(np.intp)]
        return copied

    def write(self, first_page: int, data: npt.NDArray[np.uint8]) -> None:
        """Write pages (shape (n, 4096)) from page `first_page` on."""
        view = np.ascontiguousarray(data).data.cast("B")
        offset = first_page * PAGE_SIZE
        while view:
            written = os.pwrite(self.fd, view, offset)
            view = view[written:]
            offset += written

    def discard(self, first_page: int, count: int) -> None:
        """Make pages zero again, and give their memory back to the host."""
        start, size = first_page * PAGE_SIZE, count * PAGE_SIZE
        with mmap.mmap(self.fd, size, mmap.MAP_SHARED, offset=start) as pages:
            pages.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Give the file up; machines that map it keep it until they end."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _release(mapped: mmap.mmap, fd: int) -> None:
    mapped.close()
    os.close(fd)
