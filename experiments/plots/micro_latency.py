"""The micro-latency plot: distribution of each way's latency, and the paper's medians."""

from __future__ import annotations

import pathlib
import sys
from functools import partial

import numpy as np

from experiments import micro_latency as ways
from experiments import papers
from experiments.micro_latency_report import microseconds
from experiments.micro_runs import MicroRecord
from experiments.plots import redraw, style

_COLOURS = {"language": style.BLUE, "process": style.ORANGE}
_PAPER = {
    ways.LANGUAGE_WARM.name: ("warm", "language-based"),
    ways.PROCESS_WARM.name: ("warm", "process-based"),
    ways.LANGUAGE_COLD.name: ("cold", "language-based"),
    ways.PROCESS_COLD.name: ("cold", "process-based"),
}


def draw(record: MicroRecord, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as micro-latency.png and micro-latency.pdf; return their paths."""
    figure, axes = style.panels(size=(9, 4.6))
    for place, way in enumerate(reversed(ways.LATENCIES)):
        values = microseconds(record, way)
        if not values:
            continue
        low, p10, median, p90, high = np.percentile(values, [1, 10, 50, 90, 99])
        colour = _COLOURS[way.name.split()[0]]
        axes.hlines(place, low, high, color=colour, linewidth=1.5)
        axes.hlines(place, p10, p90, color=colour, linewidth=8)
        axes.plot(median, place, "|", color="black", markersize=16)
        axes.annotate(
            f"{style.short(float(median))} us",
            (median, place),
            xytext=(0, 11),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
        if way.name in _PAPER:
            warmth, system = _PAPER[way.name]
            paper = papers.find("Table 1", f"{warmth} invocation median", system)
            axes.plot(paper.number, place, "D", color="white", markeredgecolor="black")
    axes.plot([], [], "D", color="white", markeredgecolor="black", label="paper (primary): median")
    axes.set_yticks(range(len(ways.LATENCIES)), [way.name for way in reversed(ways.LATENCIES)])
    axes.set_ylim(-0.6, len(ways.LATENCIES) - 0.2)
    axes.set_xscale("log")
    axes.set_xlim(left=0.2)
    style.plain_logarithmic(axes.xaxis)
    axes.set_xlabel("latency (us): median, 10 % to 90 %, 1 % to 99 %")
    axes.grid(axis="x")
    axes.legend(loc="upper right", fontsize=8)
    title = "Functions as processes and as libraries"
    return style.finish(figure, folder, ways.NAME, title, record.environment)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], ways.NAME, partial(MicroRecord.load, ways.NAME), draw))
