"""The record of the dirty-tracking experiment: the sets of frames that each way found."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from experiments import dirty_sets, raw_data
from experiments.dirty_sets import Frames, Owners, Runs

NAME = "dirty-tracking"
WALK, BITMAP, PAGEMAP, BYTES = "walk", "bitmap", "pagemap", "bytes"
SOFT = "soft-dirty"
WAYS = (WALK, BITMAP, PAGEMAP, SOFT, BYTES)
"""The kernel's page-table walk, QEMU's migration bitmap, the host's copies, the host's marks of
written pages, the byte diff of memory."""


@dataclass(frozen=True)
class Sample:
    """One import of a function, looked at in all ways. Sets are runs of guest frames."""

    function: str
    round: int
    error: str | None = None
    sets: dict[str, Runs] = field(default_factory=dict)
    """What each way found, by way."""
    mapped: Runs = field(default_factory=list)
    """Frames that the context's page tables map, borrowed ones too, without the kernel's image."""
    lent: Runs = field(default_factory=list)
    """Frames of the kernel's image that the context maps and the kernel changed."""
    tables: Runs = field(default_factory=list)
    """Page tables in the context's tree, borrowed ones too."""
    kernel: Runs = field(default_factory=list)
    """The kernel's image, stacks and per-core memory."""
    harmed: Runs = field(default_factory=list)
    """Frames of the base snapshot that changed: none may."""
    strange: int = 0
    """Pages of the walk whose frame is another than in the tables read here."""
    copied_before: int = 0
    """Frames that the host had copied before the function came: it cannot see them again."""
    times_ms: dict[str, float] = field(default_factory=dict)
    """By way; beside them `walk again`, `export`, `bitmap arm`."""

    def found(self, way: str) -> Frames:
        """The frames that a way found."""
        return dirty_sets.from_runs(self.sets[way])

    def owners(self) -> Owners:
        """Whose the frames are."""
        return Owners(
            self.found(WALK) | (dirty_sets.from_runs(self.mapped) & self.found(BYTES)),
            dirty_sets.from_runs(self.tables),
            dirty_sets.from_runs(self.kernel),
        )

    def missed(self) -> Frames:
        """Frames of the context that changed and that the walk did not find."""
        return dirty_sets.missed(
            self.found(WALK), self.found(BYTES), dirty_sets.from_runs(self.mapped)
        )


@dataclass
class DirtyTracking:
    """The record of a run."""

    environment: dict[str, Any]
    rounds: int
    soft_dirty: bool
    """Whether the host's kernel marks written pages."""
    samples: list[Sample] = field(default_factory=list)

    def good(self, function: str | None = None) -> list[Sample]:
        """The samples that were measured, of one function or of all."""
        return [
            each
            for each in self.samples
            if each.error is None and function in (None, each.function)
        ]

    def save(self, folder: pathlib.Path) -> None:
        """Write dirty-tracking.json and dirty-tracking.csv."""
        head = ("function", "round", "way", "frames", *dirty_sets.KINDS, "ms")
        raw_data.save(folder, NAME, asdict(self), head, self._rows())

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for sample in self.good():
            for way in (way for way in WAYS if way in sample.sets):
                frames = sample.found(way)
                kinds = sample.owners().split(frames).values()
                ms = f"{sample.times_ms[way]:.4f}"
                yield (sample.function, sample.round, way, len(frames), *kinds, ms)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """Read the record of a results folder; OSError or ValueError if it cannot be read."""
        record = raw_data.load(folder, NAME)
        record["samples"] = [Sample(**sample) for sample in record["samples"]]
        return cls(**record)
