"""Sets of guest frames: what changed, whose it is, and who found it. Nothing here runs a guest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

Frames = frozenset[int]
Entries = npt.NDArray[np.uint64]
Runs = list[tuple[int, int]]

TABLE_ENTRIES: Final = 512
ROOT_LEVEL: Final = 4
PRESENT: Final = np.uint64(1)
LARGE: Final = np.uint64(1 << 7)
ADDRESS: Final = np.uint64(0x000FFFFFFFFFF000)
USER_SLOTS: Final = range(256)
KERNEL_SLOTS: Final = range(448, 511)
"""The kernel's stacks and per-core regions; below is the map of all memory, above the image."""

KINDS: Final = ("pages", "tables", "kernel", "rest")
"""Whose a changed frame is, see `Owners`."""


@dataclass(frozen=True)
class Walk:
    """What a page-table tree maps: virtual page numbers and their frames, and its tables."""

    numbers: Entries
    frames: Entries
    tables: Frames


@dataclass(frozen=True)
class Owners:
    """Whose frames are. `pages` are a context's, `tables` its page tables, `kernel` the kernel's
    image, stacks and per-core memory. Any other is of the kernel's heap, or was given back."""

    pages: Frames
    tables: Frames
    kernel: Frames

    def split(self, frames: Frames) -> dict[str, int]:
        """Count `frames` by kind; each counts once, in the order of `KINDS`."""
        left = frames
        counts = {}
        for kind, owned in zip(KINDS, (self.pages, self.tables, self.kernel), strict=False):
            counts[kind] = len(left & owned)
            left -= owned
        return counts | {"rest": len(left)}


def walk(memory: Entries, root: int, slots: range) -> Walk:
    """Follow the x86-64 page tables from frame `root` through `slots` of the root.

    `memory` is all of guest memory, shape (frames, 512). Large pages, and frames that are not in
    memory, are passed over.
    """
    tables: set[int] = {root}
    at = np.array([root], np.uint64)
    bases = np.zeros(1, np.uint64)
    for level in range(ROOT_LEVEL, 0, -1):
        entries = memory[at.astype(np.intp)]
        wanted = (entries & PRESENT) != 0
        if level == ROOT_LEVEL:
            wanted[:, : slots.start] = False
            wanted[:, slots.stop :] = False
        elif level > 1:
            wanted &= (entries & LARGE) == 0
        frames = (entries & ADDRESS) >> np.uint64(12)
        wanted &= frames < np.uint64(len(memory))
        rows, columns = np.nonzero(wanted)
        bases = bases[rows] * np.uint64(TABLE_ENTRIES) + columns.astype(np.uint64)
        at = frames[rows, columns]
        if level > 1:
            tables.update(at.tolist())
    return Walk(bases, at, frozenset(tables))


def roots(memory: Entries, known: int) -> list[int]:
    """Return the frames that are root tables with a lower half in use.

    Every address space has the kernel's upper half; `known` is the root of one of them.
    """
    upper = slice(len(USER_SLOTS), TABLE_ENTRIES)
    mask = ADDRESS | PRESENT
    alike = ((memory[:, upper] & mask) == (memory[known, upper] & mask)).all(axis=1)
    found = np.flatnonzero(alike)
    used = (memory[found, : len(USER_SLOTS)] & PRESENT).any(axis=1)
    return [int(frame) for frame in found[used]]


def missed(walked: Frames, changed: Frames, mapped: Frames) -> Frames:
    """Return the frames of a context that changed and that the walk did not find."""
    return (changed & mapped) - walked


def overlaps(sets: Mapping[str, Frames]) -> dict[str, int]:
    """Count what each two of the sets have in common, under "one & other"."""
    return {
        f"{one} & {other}": len(sets[one] & sets[other]) for one, other in combinations(sets, 2)
    }


def to_runs(frames: Iterable[int]) -> Runs:
    """Write a set as ascending runs: pairs of first frame and count."""
    runs: Runs = []
    for frame in sorted(frames):
        if runs and sum(runs[-1]) == frame:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((frame, 1))
    return runs


def from_runs(runs: Iterable[Iterable[int]]) -> Frames:
    """Read what `to_runs` wrote, also after a way through JSON."""
    return frozenset(frame for first, count in runs for frame in range(first, first + count))
