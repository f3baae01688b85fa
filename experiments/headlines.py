"""How a run compares with its peers and with the papers: lines for the report's first page."""

from __future__ import annotations

import pathlib

import numpy as np

from experiments import burst, burst_report, density_report, papers, snapshots, throughput
from experiments import throughput_report as throughput_told
from experiments.burst import Burst
from experiments.density import Density
from experiments.measurements import Measurements
from experiments.peers.podman import Podman
from experiments.recording import Cell, Recording
from experiments.systems import POOLS, SYSTEMS
from experiments.throughput import Throughput

_SIZES = (
    ("base snapshot size (Node.js; with AO)", "base"),
    ("NOP function snapshot size (with AO)", "function"),
)


def of_folder(folder: pathlib.Path) -> list[str]:
    """Return the lines for what the folder holds; raises what loading its records does."""
    lines = [_joined("Beside others, in this run", _peers(folder))]
    if (folder / "latency.json").exists():
        lines.append(latencies(Recording.load(folder)))
    if (folder / f"{snapshots.NAME}.json").exists():
        lines.append(sizes(Measurements.load(snapshots.NAME, folder)))
    return [line for line in lines if line]


def latencies(record: Recording) -> str:
    """Compare NOP by path with Table 2, or return nothing without samples."""
    found = []
    for path in ("cold", "warm", "hot"):
        figure = papers.find("Table 2", f"{path} start latency NOP")
        ours = record.latencies(Cell("nop", path, True, "uc"))
        if ours:
            found.append(f"{path} {np.median(ours):.3g} ms (paper {figure.value}, {figure.status})")
    return _joined("Empty function beside the paper's Table 2", found, ", ")


def sizes(record: Measurements) -> str:
    """Compare Python's snapshots with Table 1, or return nothing without samples."""
    found = []
    for metric, level in _SIZES:
        figure = papers.find("Table 1", metric)
        labels = {"isolation": "uc", "runtime": "python", "ao": "AO", "level": level}
        ours = record.values("stored pages", **labels)
        if ours:
            found.append(
                f"{level} {np.median(ours):.3g} MB (paper {figure.value}, {figure.status})"
            )
    return _joined("Snapshots of Python beside the paper's (Node.js, Table 1)", found, ", ")


def rates(record: Throughput) -> str:
    """Compare calls per second on all-new functions, or return nothing without trials."""
    found = []
    for pool in POOLS:
        ratio = throughput_told.ratio(record, pool, record.sizes[-1])
        if ratio is not None:
            found.append(f"{ratio.value:.3g} x a pool of containers by {pool}")
            if pool == Podman.name:
                figure = papers.find(
                    "abstract", "platform throughput on all-new functions", "SEUSS vs Linux"
                )
                found[-1] += f" (paper {figure.value} x, Docker, {figure.status})"
    return f"calls per second on new functions {', '.join(found)}" if found else ""


def instances(record: Density) -> str:
    """Compare idle instances per GiB, or return nothing without others."""
    checks = density_report.against_others(record)
    found = [
        f"{check.value:.3g} x {check.promise.partition(' / ')[2]}"
        for check in checks
        if check.value is not None
    ]
    return f"idle contexts per GiB {', '.join(found)}" if found else ""


def failures(record: Burst) -> str:
    """Count calls that failed in timelines with bursts, or return nothing without any."""
    found = []
    for system in SYSTEMS:
        outcomes = [
            each
            for timeline in record.timelines
            if timeline.system == system
            for each in timeline.outcomes
        ]
        if outcomes:
            found.append(f"{burst_report.failed(outcomes)} of {len(outcomes)} by {system}")
    return f"calls failed under bursts {', '.join(found)}" if found else ""


def _peers(folder: pathlib.Path) -> list[str]:
    found = []
    if (folder / f"{throughput.NAME}.json").exists():
        found.append(rates(Throughput.load(folder)))
    if (folder / "density.json").exists():
        found.append(instances(Density.load(folder)))
    if (folder / f"{burst.NAME}.json").exists():
        found.append(failures(Burst.load(folder)))
    return [each for each in found if each]


def _joined(title: str, found: list[str], between: str = "; ") -> str:
    return f"**{title}:** {between.join(found)}." if found else ""
