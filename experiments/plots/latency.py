"""The latency plot: medians with their spread by function and path, and where NOP's time goes.

`python -m experiments.plots.latency RESULTS_DIR` draws it again from latency.json.
"""

from __future__ import annotations

import pathlib
import sys
from dataclasses import dataclass

from matplotlib.axes import Axes

from experiments import papers
from experiments.latency import OTHERS, PROCESS
from experiments.peers import line_up
from experiments.plots import redraw, style
from experiments.recording import PHASES, Cell, Recording
from experiments.summary import summarise
from experiments.workloads import WORKLOADS


@dataclass(frozen=True)
class Series:
    """How one way of answering is drawn. Markers differ too, for print without colour."""

    path: str
    ao: bool | None
    label: str
    colour: str
    marker: str
    isolation: str = "vm"

    def cell(self, function: str) -> Cell:
        """What the series shows of a function."""
        return Cell(function, self.path, self.ao, self.isolation)


SERIES = (
    Series("booted", None, "booted", style.VERMILION, "s"),
    Series("cold", False, "cold, no AO", style.SKY, "v"),
    Series("cold", True, "cold", style.BLUE, "o"),
    Series("warm", False, "warm, no AO", style.ORANGE, "^"),
    Series("warm", True, "warm", style.GREEN, "D"),
    Series("cold", True, "cold (uc)", style.PURPLE, "<", "uc"),
    Series("warm", True, "warm (uc)", style.YELLOW, ">", "uc"),
    Series("hot", True, "hot (uc)", "black", "*", "uc"),
    Series("process", None, "Linux process (native)", style.GREY, "x"),
)
PHASE_COLOURS = dict(
    zip(
        PHASES,
        (style.GREY, style.BLUE, style.SKY, style.ORANGE, style.PURPLE, style.GREEN),
        strict=True,
    )
)
SPREAD = 0.72
"""Part of the room between two functions that one function's points take."""


def draw(recording: Recording, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as latency.png and latency.pdf in `folder`; return their paths."""
    figure, axes = style.panels(2, 2, size=(12, 8), width_ratios=(2.1, 1), height_ratios=(1.6, 1))
    # The lower row is one panel.
    grid = axes[1, 0].get_gridspec()
    for each in axes[1]:
        each.remove()
    _draw_latencies(axes[0, 0], recording)
    _draw_phases(axes[0, 1], recording)
    _draw_others(figure.add_subplot(grid[1, :]), recording)
    facts = recording.environment
    title = f"Time from call to answer, {facts['machine']}, {facts['cores']} shared cores"
    return style.finish(figure, folder, "latency", title, facts)


def _draw_latencies(axes: Axes, recording: Recording) -> None:
    counts = set()
    for index, series in enumerate(SERIES):
        offset = (index / (len(SERIES) - 1) - 0.5) * SPREAD
        places, medians, below, above = [], [], [], []
        for place, workload in enumerate(WORKLOADS):
            values = recording.latencies(series.cell(workload.name))
            if not values:
                continue
            summary = summarise(values)
            counts.add(summary.count)
            places.append(place + offset)
            medians.append(summary.median)
            below.append(summary.median - summary.p10)
            above.append(summary.p90 - summary.median)
        if not places:
            continue
        axes.errorbar(
            places,
            medians,
            yerr=(below, above),
            fmt=series.marker,
            color=series.colour,
            label=series.label,
            markersize=7,
            capsize=3,
            linewidth=1.3,
        )
    _draw_paper(axes)
    axes.set_yscale("log")
    style.plain_logarithmic(axes.yaxis)
    axes.set_ylabel("ms (log scale); median, 10th to 90th percentile")
    axes.set_xticks(range(len(WORKLOADS)), [workload.title for workload in WORKLOADS])
    axes.set_xlim(-0.55, len(WORKLOADS) - 0.45)
    span = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(min(counts, default=0))
    axes.set_title(f"each function on each path (n = {span})", fontsize=10)
    if counts:
        axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.09))


def _draw_paper(axes: Axes) -> None:
    for metric, series in (
        ("cold start latency NOP", "cold"),
        ("warm start latency NOP", "warm"),
        ("hot start latency NOP", "hot"),
    ):
        figure = papers.find("Table 2", metric)
        axes.hlines(figure.number, -0.45, 0.45, color="black", linewidth=1, linestyle=":")
        axes.annotate(
            f"{series}, {figure.mark}",
            (0.45, figure.number),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=7.5,
            va="center",
        )


def _draw_phases(axes: Axes, recording: Recording) -> None:
    rows = [
        series
        for series in SERIES
        if series.path in ("cold", "warm", "hot") and recording.latencies(series.cell("nop"))
    ]
    for place, series in enumerate(reversed(rows)):
        cell = series.cell("nop")
        start = 0.0
        for phase in PHASES:
            values = recording.phase(cell, phase)
            if not values:
                continue
            width = summarise(values).median
            axes.barh(place, width, left=start, color=PHASE_COLOURS[phase], height=0.6)
            start += width
        whole = summarise(recording.latencies(cell)).median
        axes.text(start, place, f" {whole:.1f} ms", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [series.label for series in reversed(rows)])
    axes.margins(x=0.18)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("ms; bars: median of each phase, label: median of the whole")
    axes.set_title("NOP: where the time goes", fontsize=10)
    for phase in PHASES[1:]:
        axes.barh(0, 0, color=PHASE_COLOURS[phase], label=phase)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13), handlelength=1)


def _draw_others(axes: Axes, recording: Recording) -> None:
    accelerator = recording.environment["accelerator"]
    shown = {f"SEUSS, {each.label}": each.cell("nop") for each in SERIES if each.isolation == "uc"}
    shown |= {line_up.title(name, accelerator): Cell("nop", name) for name in (PROCESS, *OTHERS)}
    for place, (title, cell) in enumerate(shown.items()):
        values = recording.latencies(cell)
        if not values:
            continue
        summary = summarise(values)
        axes.errorbar(
            summary.median,
            place,
            xerr=([summary.median - summary.p10], [summary.p90 - summary.median]),
            fmt="o" if title.startswith("SEUSS") else "s",
            color=style.BLUE if title.startswith("SEUSS") else style.GREY,
            capsize=3,
        )
        axes.annotate(
            f"{style.short(summary.median)} ms",
            (summary.p90, place),
            xytext=(6, -3),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set_yticks(range(len(shown)), list(shown))
    axes.invert_yaxis()
    axes.set_xscale("log")
    style.plain_logarithmic(axes.xaxis)
    axes.grid(axis="x")
    axes.set_xlabel("ms until a new instance's first answer (log scale); median, 10 % to 90 %")
    axes.set_title("NOP beside other systems", fontsize=10)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], "latency", Recording.load, draw))
