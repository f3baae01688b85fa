"""What the host's kernel knows of a machine's privately mapped memory: /proc/PID/pagemap.

A page of a private file mapping that was only read is the file's; the host copies it on the first
write, and the copy is anonymous. Source: the kernel's documentation of pagemap.
"""

from __future__ import annotations

import mmap
import os
import pathlib
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.errors import CaptureError
from snapshot_store.pageset import PAGE_SIZE

SOFT_DIRTY: Final = np.uint64(1 << 55)
FILE_OR_SHARED: Final = np.uint64(1 << 61)
SWAPPED: Final = np.uint64(1 << 62)
PRESENT: Final = np.uint64(1 << 63)
RAM_NAME: Final = "memfd:seuss-ram"
CLEAR_SOFT_DIRTY: Final = "4"

Entries = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Span:
    """A piece of a file's mapping: first address, pages, and the file's page it begins with."""

    start: int
    pages: int
    first_page: int


def spans(maps: str, name: str = RAM_NAME) -> list[Span]:
    """Find the private mappings of the file `name` in the text of /proc/PID/maps."""
    found = []
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and name in fields[5] and fields[1].endswith("p"):
            start, end = (int(word, 16) for word in fields[0].split("-"))
            found.append(Span(start, (end - start) // PAGE_SIZE, int(fields[2], 16) // PAGE_SIZE))
    return found


def copied(entries: Entries) -> npt.NDArray[np.bool_]:
    """Say for each pagemap entry of a private file mapping whether the page is a copy."""
    there = (entries & (PRESENT | SWAPPED)) != 0
    found: npt.NDArray[np.bool_] = there & ((entries & FILE_OR_SHARED) == 0)
    return found


def read(pid: int, pages: int) -> Entries:
    """Return the pagemap entries of a machine's memory, one for each of its `pages` pages.

    Raises CaptureError when the machine does not map its memory privately.
    """
    process = pathlib.Path("/proc") / str(pid)
    entries = np.zeros(pages, np.uint64)
    pieces = spans((process / "maps").read_text())
    if sum(piece.pages for piece in pieces) != pages:
        raise CaptureError(
            f"Process {pid} maps {sum(piece.pages for piece in pieces)} of its {pages} pages "
            "privately. Restore the machine from a snapshot first."
        )
    with (process / "pagemap").open("rb", buffering=0) as pagemap:
        for piece in pieces:
            pagemap.seek(piece.start // PAGE_SIZE * 8)
            data = pagemap.read(piece.pages * 8)
            entries[piece.first_page : piece.first_page + piece.pages] = np.frombuffer(data, "<u8")
    return entries


def has_soft_dirty() -> bool:
    """Whether this kernel marks written pages at all: a page just written must be marked."""
    with mmap.mmap(-1, PAGE_SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        page[0] = 1
        address = np.frombuffer(page, np.uint8).ctypes.data
        with pathlib.Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
            entry: int = struct.unpack(
                "<Q", os.pread(pagemap.fileno(), 8, address // PAGE_SIZE * 8)
            )[0]
    return bool(entry & int(SOFT_DIRTY))


def clear_soft_dirty(pid: int) -> None:
    """Unmark all pages of a process."""
    (pathlib.Path("/proc") / str(pid) / "clear_refs").write_text(CLEAR_SOFT_DIRTY)
