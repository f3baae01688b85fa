"""What can be written from the raw data of each experiment, and into which files."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from experiments import (
    arguments,
    arguments_report,
    burst,
    burst_report,
    cores_report,
    density_report,
    dirty_report,
    micro_latency,
    micro_latency_report,
    micro_preemption,
    micro_preemption_report,
    network_throughput,
    network_throughput_report,
    report,
    series,
    sharing,
    sharing_report,
    snapshots,
    snapshots_report,
    throughput,
    throughput_report,
)
from experiments.burst import Burst
from experiments.cores import Cores
from experiments.density import Density
from experiments.dirty_record import DirtyTracking
from experiments.measurements import Measurements
from experiments.micro_runs import MicroRecord
from experiments.plots import arguments as arguments_plot
from experiments.plots import burst as burst_plot
from experiments.plots import cores as cores_plot
from experiments.plots import density as density_plot
from experiments.plots import dirty_tracking as dirty_plot
from experiments.plots import latency as latency_plot
from experiments.plots import micro_latency as micro_latency_plot
from experiments.plots import micro_preemption as micro_preemption_plot
from experiments.plots import network_throughput as network_throughput_plot
from experiments.plots import sharing as sharing_plot
from experiments.plots import snapshots as snapshots_plot
from experiments.plots import throughput as throughput_plot
from experiments.promises import Check
from experiments.recording import Recording
from experiments.requirements import check as latency_check
from experiments.series import Series
from experiments.throughput import Throughput

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
    series: Callable[[Record], Series]
    """Samples by name, for the comparison of two runs."""

    def write(self, record: Record, folder: pathlib.Path) -> Sequence[Check]:
        """Write report and pictures; return the verdicts."""
        (folder / self.report).write_text(self.render(record), encoding="utf-8")
        self.draw(record, folder)
        return self.check(record)

    def write_again(self, folder: pathlib.Path) -> Sequence[Check]:
        """Write report and pictures of a folder's raw data; raises what `load` does."""
        return self.write(self.load(folder), folder)

    def series_of(self, folder: pathlib.Path) -> Series:
        """Return the samples of a folder's raw data by name; raises what `load` does."""
        return self.series(self.load(folder))

    def raw(self, folder: pathlib.Path) -> pathlib.Path:
        """Return where the raw data is in a folder."""
        return folder / f"{self.name}.json"


LATENCY: Experiment[Recording] = Experiment(
    name="latency",
    report="latency.md",
    load=Recording.load,
    render=report.render,
    draw=latency_plot.draw,
    check=latency_check,
    series=series.of_latency,
)
DENSITY: Experiment[Density] = Experiment(
    name="density",
    report="density.md",
    load=Density.load,
    render=density_report.render,
    draw=density_plot.draw,
    check=density_report.check,
    series=series.of_density,
)
DIRTY_TRACKING: Experiment[DirtyTracking] = Experiment(
    name="dirty-tracking",
    report="dirty-tracking.md",
    load=DirtyTracking.load,
    render=dirty_report.render,
    draw=dirty_plot.draw,
    check=dirty_report.check,
    series=series.of_dirty_tracking,
)
CORES: Experiment[Cores] = Experiment(
    name="cores",
    report="cores.md",
    load=Cores.load,
    render=cores_report.render,
    draw=cores_plot.draw,
    check=cores_report.check,
    series=series.of_cores,
)
THROUGHPUT: Experiment[Throughput] = Experiment(
    name=throughput.NAME,
    report=f"{throughput.NAME}.md",
    load=Throughput.load,
    render=throughput_report.render,
    draw=throughput_plot.draw,
    check=throughput_report.check,
    series=series.of_throughput,
)
BURST: Experiment[Burst] = Experiment(
    name=burst.NAME,
    report=f"{burst.NAME}.md",
    load=Burst.load,
    render=burst_report.render,
    draw=burst_plot.draw,
    check=burst_report.check,
    series=series.of_burst,
)
MICRO_LATENCY: Experiment[MicroRecord] = Experiment(
    name=micro_latency.NAME,
    report=f"{micro_latency.NAME}.md",
    load=partial(MicroRecord.load, micro_latency.NAME),
    render=micro_latency_report.render,
    draw=micro_latency_plot.draw,
    check=micro_latency_report.check,
    series=series.of_micro,
)
MICRO_PREEMPTION: Experiment[MicroRecord] = Experiment(
    name=micro_preemption.NAME,
    report=f"{micro_preemption.NAME}.md",
    load=partial(MicroRecord.load, micro_preemption.NAME),
    render=micro_preemption_report.render,
    draw=micro_preemption_plot.draw,
    check=micro_preemption_report.check,
    series=series.of_micro,
)
SNAPSHOTS: Experiment[Measurements] = Experiment(
    name=snapshots.NAME,
    report="snapshots.md",
    load=partial(Measurements.load, snapshots.NAME),
    render=snapshots_report.render,
    draw=snapshots_plot.draw,
    check=snapshots_report.check,
    series=series.of_measurements,
)
SHARING: Experiment[Measurements] = Experiment(
    name=sharing.NAME,
    report="sharing.md",
    load=partial(Measurements.load, sharing.NAME),
    render=sharing_report.render,
    draw=sharing_plot.draw,
    check=sharing_report.check,
    series=series.of_measurements,
)
ARGUMENTS: Experiment[Measurements] = Experiment(
    name=arguments.NAME,
    report="arguments.md",
    load=partial(Measurements.load, arguments.NAME),
    render=arguments_report.render,
    draw=arguments_plot.draw,
    check=arguments_report.check,
    series=series.of_measurements,
)
NETWORK_THROUGHPUT: Experiment[Measurements] = Experiment(
    name=network_throughput.NAME,
    report=f"{network_throughput.NAME}.md",
    load=partial(Measurements.load, network_throughput.NAME),
    render=network_throughput_report.render,
    draw=network_throughput_plot.draw,
    check=network_throughput_report.check,
    series=series.of_measurements,
)
AnyExperiment = (
    Experiment[Recording]
    | Experiment[Density]
    | Experiment[DirtyTracking]
    | Experiment[Cores]
    | Experiment[Throughput]
    | Experiment[Burst]
    | Experiment[MicroRecord]
    | Experiment[Measurements]
)
EXPERIMENTS: tuple[AnyExperiment, ...] = (
    *(SNAPSHOTS, LATENCY, DENSITY, SHARING, ARGUMENTS),
    *(DIRTY_TRACKING, CORES, THROUGHPUT, BURST, NETWORK_THROUGHPUT),
    *(MICRO_LATENCY, MICRO_PREEMPTION),
)
"""In the order of the report."""
