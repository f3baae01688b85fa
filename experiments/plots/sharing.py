"""The sharing plot: pages along the lineage, memory by number of functions, faults by kind.

`python -m experiments.plots.sharing RESULTS_DIR` draws it again from sharing.json.
"""

from __future__ import annotations

import pathlib
import sys
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from experiments import sharing
from experiments.measurements import Measurements
from experiments.plots import redraw, style
from experiments.sharing import FAULTS
from snapshot_store import PAGE_SIZE

KIND_COLOURS = dict(
    zip(
        FAULTS,
        (style.BLUE, style.SKY, style.ORANGE, style.VERMILION, style.GREEN, style.GREY),
        strict=True,
    )
)
HATCHES = dict(zip(FAULTS, ("", "//", "", "..", "", "xx"), strict=True))
LEVEL_COLOURS = {"base": style.GREY, "function": style.BLUE, "argument": style.ORANGE}
PATHS = ("cold", "warm", "hot", "resumed")


def draw(record: Measurements, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as sharing.png and sharing.pdf in `folder`; return their paths."""
    figure, axes = style.panels(1, 3, size=(14, 5), width_ratios=(1, 1, 1.5))
    _lineage(axes[0], record)
    _memory(axes[1], record)
    _faults(axes[2], record)
    title = "Pages shared along the lineage"
    return style.finish(figure, folder, sharing.NAME, title, record.environment)


def _lineage(axes: Axes, record: Measurements) -> None:
    functions = list(reversed(record.labels("function", "own pages")))
    for place, function in enumerate(functions):
        for shift, (level, colour) in enumerate(LEVEL_COLOURS.items()):
            values = record.values("own pages", function=function, level=level)
            if values:
                y = place + (1 - shift) * 0.27
                pages = float(np.median(values))
                axes.barh(y, pages, height=0.24, color=colour)
                axes.text(pages, y, f" {pages:g}", va="center", fontsize=8)
    for level, colour in LEVEL_COLOURS.items():
        axes.barh(0, 0, color=colour, label=level)
    axes.set_yticks(range(len(functions)), functions)
    axes.margins(x=0.2)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("own pages of 4 KiB, median")
    axes.set_title("each level owns only what differs", fontsize=10)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14), handlelength=1)


def _memory(axes: Axes, record: Measurements) -> None:
    base = record.values("own pages", level="base")
    for function, colour, marker in zip(
        record.labels("function", "memory of functions"),
        (style.BLUE, style.VERMILION, style.GREEN),
        "osD",
        strict=False,
    ):
        counts = [
            int(sample.labels["functions"])
            for sample in record.samples
            if sample.metric == "memory of functions" and sample.labels["function"] == function
        ]
        used = record.values("memory of functions", function=function)
        axes.plot(counts, used, marker=marker, color=colour, label=f"{function}, measured")
        if base:
            copies = [count * float(np.median(base)) * PAGE_SIZE / 1e6 for count in counts]
            if colour == style.BLUE:
                axes.plot(counts, copies, "--", color=style.GREY, label="if each held the base")
    axes.set_yscale("log")
    style.plain_logarithmic(axes.yaxis)
    axes.set_xlabel("functions captured in one node")
    axes.set_ylabel("memory they take, MB (log scale)")
    axes.set_title("by free frames of the node; one run", fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8)


def _faults(axes: Axes, record: Measurements) -> None:
    rows = [
        (function, path)
        for function in record.labels("function", "faults")
        for path in PATHS
        if record.values("faults", function=function, path=path)
    ]
    for place, (function, path) in enumerate(reversed(rows)):
        start = 0.0
        totals = np.zeros(0)
        for kind in FAULTS:
            values = record.values("faults", function=function, path=path, kind=kind)
            width = float(np.median(values))
            axes.barh(
                *(place, width),
                left=start,
                color=KIND_COLOURS[kind],
                hatch=HATCHES[kind],
                edgecolor="white",
                height=0.7,
            )
            start += width
            totals = np.asarray(values) if not totals.size else totals + np.asarray(values)
        low, high = np.percentile(totals, [10, 90])
        spread = f" ({low:g} to {high:g})" if high > low else ""
        axes.text(start, place, f" {start:g}{spread}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{function}, {path}" for function, path in reversed(rows)])
    for kind in FAULTS:
        axes.barh(
            *(0, 0),
            color=KIND_COLOURS[kind],
            hatch=HATCHES[kind],
            edgecolor="white",
            label=kind.replace("_", " "),
        )
    axes.margins(x=0.15)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("page faults of one invocation, median (10 to 90 % of the sum)")
    axes.set_title("faults by kind", fontsize=10)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14), handlelength=1.2)


if __name__ == "__main__":
    load = partial(Measurements.load, sharing.NAME)
    sys.exit(redraw.main(sys.argv[1:], sharing.NAME, load, draw))
