"""Guest memory as an anonymous file that many machines map privately and share page by page."""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import weakref
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from snapshot_store.pageset import PAGE_SIZE

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class RamFile:
    """A memfd with a guest's memory; sealed once filled, so that no machine can change it.

    A machine that maps it privately reads its pages in place and copies a page when it writes.
    The memory goes back to the host when the file and the last machine on it are closed.
    """

    def __init__(self, numbers: npt.NDArray[np.uint64], data: npt.NDArray[np.uint8], size: int):
        """Make a file of `size` bytes that is zero but for the pages given.

        `numbers` has shape (n,), ascending, in pages of 4096 bytes; `data` has shape (n, 4096).
        Raises OSError when the host has no memory left.
        """
        self.fd = os.memfd_create("seuss-ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, size)
            for start, stop in _runs(numbers):
                # One write per run of neighbours: a base has few runs and thousands of pages.
                _write_all(self.fd, data[start:stop], int(numbers[start]) * PAGE_SIZE)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
            self._map = mmap.mmap(self.fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ)
        except BaseException:
            os.close(self.fd)
            raise
        self.size = size
        self._finalizer = weakref.finalize(self, _release, self._map, self.fd)

    def pages(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Copy out the pages `numbers` (shape (n,), each inside the file): shape (n, 4096)."""
        whole = np.frombuffer(self._map, np.uint8).reshape(-1, PAGE_SIZE)
        copied: npt.NDArray[np.uint8] = whole[numbers.astype(np.intp)]
        return copied

    def whole(self) -> npt.NDArray[np.uint8]:
        """View all pages in place: shape (n, 4096), read-only. `close` fails while a view lives."""
        return np.frombuffer(self._map, np.uint8).reshape(-1, PAGE_SIZE)

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


def _runs(numbers: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Split ascending page numbers into runs of neighbours: pairs of start and stop index."""
    if len(numbers) == 0:
        return []
    breaks = np.flatnonzero(np.diff(numbers.astype(np.int64)) != 1) + 1
    edges = [0, *breaks.tolist(), len(numbers)]
    return list(itertools.pairwise(edges))


def _write_all(fd: int, data: npt.NDArray[np.uint8], offset: int) -> None:
    view = np.ascontiguousarray(data).data.cast("B")
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written
