"""How a run compares with the papers, in a line or two for the report's first page."""

from __future__ import annotations

import pathlib

import numpy as np

from experiments import papers, snapshots
from experiments.measurements import Measurements
from experiments.recording import Cell, Recording

_SIZES = (
    ("base snapshot size (Node.js; with AO)", "base"),
    ("NOP function snapshot size (with AO)", "function"),
)


def of_folder(folder: pathlib.Path) -> list[str]:
    """Return the lines for what the folder holds; raises what loading its records does."""
    lines = []
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
    return f"**NOP in contexts beside Table 2:** {', '.join(found)}." if found else ""


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
    return f"**Snapshots beside Table 1:** {', '.join(found)}." if found else ""
