"""A record of labelled measurements: what experiments with one kind of sample keep and save."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from experiments import raw_data

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Measurement:
    """One value of a metric; the labels say of what, `round` in which round it was taken."""

    metric: str
    unit: str
    labels: dict[str, str]
    round: int
    value: float


@dataclass
class Measurements:
    """The record of an experiment: environment, seed, every measurement, and what is missing."""

    experiment: str
    environment: dict[str, Any]
    seed: int
    rounds: int
    samples: list[Measurement] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    """What could not be measured, by name, with the reason; nothing is filled in for it."""

    def add(self, metric: str, unit: str, value: float, round: int, **labels: str) -> None:
        """Note one measurement."""
        self.samples.append(Measurement(metric, unit, labels, round, float(value)))

    def values(self, metric: str, **labels: str) -> list[float]:
        """Values of a metric with at least these labels, in the order measured."""
        return [
            sample.value
            for sample in self.samples
            if sample.metric == metric and labels.items() <= sample.labels.items()
        ]

    def labels(self, name: str, metric: str | None = None) -> list[str]:
        """What a label of that name says, each once, in the order first seen."""
        found = (
            sample.labels[name]
            for sample in self.samples
            if name in sample.labels and metric in (None, sample.metric)
        )
        return list(dict.fromkeys(found))

    def series(self) -> Mapping[str, list[float]]:
        """All values by metric, unit and labels, as one phrase each."""
        found: dict[str, list[float]] = {}
        for sample in self.samples:
            name = f"{sample.metric}: {', '.join(sample.labels.values())} ({sample.unit})"
            found.setdefault(name, []).append(sample.value)
        return found

    def save(self, folder: pathlib.Path) -> None:
        """Write NAME.json and NAME.csv; a run that is cut off keeps the last whole files."""
        names = list(dict.fromkeys(name for sample in self.samples for name in sample.labels))
        rows = (
            (*map(each.labels.get, names), each.round, each.metric, each.unit, each.value)
            for each in self.samples
        )
        head = (*names, "round", "metric", "unit", "value")
        raw_data.save(folder, self.experiment, asdict(self), head, rows)

    @classmethod
    def load(cls, experiment: str, folder: pathlib.Path) -> Self:
        """Read NAME.json of a results folder; OSError or ValueError if it cannot be read."""
        record = raw_data.load(folder, experiment)
        record["samples"] = [Measurement(**sample) for sample in record["samples"]]
        return cls(experiment, **record)
