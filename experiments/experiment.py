"""What can be written from the raw data of each experiment, and into which files."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from experiments import (
    cores_report,
    density_report,
    dirty_report,
    micro_latency,
    micro_latency_report,
    micro_preemption,
    micro_preemption_report,
    report,
)
from experiments.cores import Cores
from experiments.density import Density
from experiments.dirty_record import DirtyTracking
from experiments.micro_runs import MicroRecord
from experiments.plots import cores as cores_plot
from experiments.plots import density as density_plot
from experiments.plots import dirty as dirty_plot
from experiments.plots import latency as latency_plot
from experiments.plots import micro_latency as micro_latency_plot
from experiments.plots import micro_preemption as micro_preemption_plot
from experiments.promises import Check
from experiments.recording import Recording
from experiments.requirements import check as latency_check

Record = TypeVar("Record")


@dataclass(frozen=True)
class Experiment(Generic[Record]):
    """An experiment's raw data NAME.json, and how report and pictures are made of it."""

    name: str
    report: str
    """The report's file."""
    load: Callable[[pathlib.Path], Record]
    """Reads a folder's raw data. Raises OSError, ValueError, KeyError or TypeError."""
    render: Callable[[Record], str]
    draw: Callable[[Record, pathlib.Path], object]
    check: Callable[[Record], Sequence[Check]]

    def write(self, record: Record, folder: pathlib.Path) -> Sequence[Check]:
        """Write report and pictures; return the verdicts."""
        (folder / self.report).write_text(self.render(record), encoding="utf-8")
        self.draw(record, folder)
        return self.check(record)

    def write_again(self, folder: pathlib.Path) -> Sequence[Check]:
        """Write report and pictures of a folder's raw data; raises what `load` does."""
        return self.write(self.load(folder), folder)

    def raw(self, folder: pathlib.Path) -> pathlib.Path:
        """Return where the raw data is in a folder."""
        return folder / f"{self.name}.json"


LATENCY: Experiment[Recording] = Experiment(
    *("latency", "report.md", Recording.load),
    *(report.render, latency_plot.draw, latency_check),
)
DENSITY: Experiment[Density] = Experiment(
    *("density", "density.md", Density.load),
    *(density_report.render, density_plot.draw, density_report.check),
)
DIRTY_TRACKING: Experiment[DirtyTracking] = Experiment(
    *("dirty-tracking", "dirty-tracking.md", DirtyTracking.load),
    *(dirty_report.render, dirty_plot.draw, dirty_report.check),
)
CORES: Experiment[Cores] = Experiment(
    *("cores", "cores.md", Cores.load),
    *(cores_report.render, cores_plot.draw, cores_report.check),
)
MICRO_LATENCY: Experiment[MicroRecord] = Experiment(
    name=micro_latency.NAME,
    report=f"{micro_latency.NAME}.md",
    load=partial(MicroRecord.load, micro_latency.NAME),
    render=micro_latency_report.render,
    draw=micro_latency_plot.draw,
    check=micro_latency_report.check,
)
MICRO_PREEMPTION: Experiment[MicroRecord] = Experiment(
    name=micro_preemption.NAME,
    report=f"{micro_preemption.NAME}.md",
    load=partial(MicroRecord.load, micro_preemption.NAME),
    render=micro_preemption_report.render,
    draw=micro_preemption_plot.draw,
    check=micro_preemption_report.check,
)
EXPERIMENTS: tuple[
    Experiment[Recording]
    | Experiment[Density]
    | Experiment[DirtyTracking]
    | Experiment[Cores]
    | Experiment[MicroRecord],
    ...,
] = (LATENCY, DENSITY, DIRTY_TRACKING, CORES, MICRO_LATENCY, MICRO_PREEMPTION)
