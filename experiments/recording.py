"""The raw record of a run: every sample with its place in the order, and what it was made with."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from experiments import raw_data

NAME = "latency"
PHASES = ("spawn", "restore", "deploy", "import", "capture", "run")


@dataclass(frozen=True)
class Cell:
    """One combination that is measured: a function on a path, with or without AO.

    `ao` is None where the question does not arise (nothing is restored). `isolation` is "vm" for a
    machine per invocation, "uc" for a context each in one machine.
    """

    function: str
    path: str
    ao: bool | None = None
    isolation: str = "vm"

    @property
    def way(self) -> str:
        """The path with its AO, as tables and plots name it."""
        way = self.path if self.isolation == "vm" else f"{self.path} ({self.isolation})"
        return f"{way}, no AO" if self.ao is False else way

    @property
    def name(self) -> str:
        """Function and way, as one phrase."""
        return f"{self.function} {self.way}"


@dataclass(frozen=True)
class Sample:
    """One measured invocation. `latency_ms` is None when it failed, and `error` then says why."""

    cell: Cell
    round: int
    order: int
    latency_ms: float | None
    phases: Mapping[str, float | None] = field(default_factory=dict)
    pooled: bool = False
    snapshot: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Size:
    """What one snapshot takes: pages stored and bytes of its data files."""

    level: str
    function: str | None
    ao: bool
    stored_pages: int
    stored_bytes: int
    isolation: str = "vm"
    runtime: str = "python"


@dataclass(frozen=True)
class DiskCost:
    """Bytes that the store occupies on disk before and after the snapshots of `functions`.

    `delta_bytes` is the sum of the deltas' data files, `full_bytes` what the same functions would
    take if each snapshot held the base as well.
    """

    functions: int
    base_bytes: int
    total_bytes: int
    delta_bytes: int
    full_bytes: int


@dataclass
class Recording:
    """A run of the latency experiment: parameters, environment, samples, sizes, disk cost."""

    environment: dict[str, Any]
    seed: int
    rounds: int
    quick: bool
    samples: list[Sample] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    disk: DiskCost | None = None
    unavailable: dict[str, str] = field(default_factory=dict)
    """Cells that cannot run here, by name, with the reason; nothing is filled in for them."""

    def give_up(self, cell: Cell, reason: str) -> None:
        """Note that the cell cannot be measured here, and why."""
        self.unavailable[cell.name] = reason

    def given_up(self, cell: Cell) -> bool:
        """Whether the cell was given up."""
        return cell.name in self.unavailable

    def latencies(self, cell: Cell) -> list[float]:
        """Milliseconds of the cell's samples that gave the right answer, in the order measured."""
        return [
            sample.latency_ms
            for sample in self.samples
            if sample.cell == cell and sample.latency_ms is not None
        ]

    def phase(self, cell: Cell, name: str) -> list[float]:
        """Milliseconds that one phase took in the cell's samples, where they have it."""
        values = (
            sample.phases.get(name)
            for sample in self.samples
            if sample.cell == cell and sample.latency_ms is not None
        )
        return [value for value in values if value is not None]

    def failures(self) -> list[Sample]:
        """Samples that failed, in the order measured."""
        return [sample for sample in self.samples if sample.error is not None]

    def size(
        self,
        level: str,
        ao: bool,
        function: str | None = None,
        isolation: str = "vm",
        runtime: str = "python",
    ) -> Size | None:
        """The recorded size of that snapshot, or None."""
        for size in self.sizes:
            found = (size.level, size.ao, size.function, size.isolation, size.runtime)
            if found == (level, ao, function, isolation, runtime):
                return size
        return None

    def save(self, folder: pathlib.Path) -> None:
        """Write latency.json and latency.csv; a run that is cut off keeps the last whole files."""
        head = ["order", "round", "function", "path", "isolation", "ao", "latency_ms"]
        head += [f"{name}_ms" for name in PHASES] + ["pooled", "error"]
        raw_data.save(folder, NAME, asdict(self), head, map(_row, self.samples))

    @classmethod
    def load(cls, folder: pathlib.Path) -> Recording:
        """Read latency.json of a results folder; OSError or ValueError if it cannot be read."""
        record = raw_data.load(folder, NAME)
        samples = [
            Sample(**(sample | {"cell": Cell(**sample["cell"])})) for sample in record["samples"]
        ]
        return cls(
            environment=record["environment"],
            seed=record["seed"],
            rounds=record["rounds"],
            quick=record["quick"],
            samples=samples,
            sizes=[Size(**size) for size in record["sizes"]],
            disk=DiskCost(**record["disk"]) if record["disk"] else None,
            unavailable=dict(record["unavailable"]),
        )


def _row(sample: Sample) -> tuple[object, ...]:
    cell = sample.cell
    return (
        sample.order,
        sample.round,
        cell.function,
        cell.path,
        cell.isolation,
        cell.ao,
        sample.latency_ms,
        *(sample.phases.get(name) for name in PHASES),
        sample.pooled,
        sample.error,
    )
