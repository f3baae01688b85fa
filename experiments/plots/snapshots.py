"""The snapshots plot: sizes, capture and restore time by level, isolation, runtime and AO.

`python -m experiments.plots.snapshots RESULTS_DIR` draws it again from snapshots.json.
"""

from __future__ import annotations

import pathlib
import sys
from functools import partial

from matplotlib.axes import Axes

from experiments import papers, snapshots
from experiments.measurements import Measurements
from experiments.plots import redraw, style
from experiments.snapshots import Kind, kinds
from experiments.summary import summarise
from orchestrator.anticipation import Anticipation

LEVELS = ("base", "function", "argument")
COLOURS = {
    ("vm", "python"): style.BLUE,
    ("vm", "js"): style.SKY,
    ("uc", "python"): style.VERMILION,
    ("uc", "js"): style.ORANGE,
}
MARKERS = {"python": "o", "js": "D"}
RUNTIME_TITLES = {"python": "Python", "js": "JavaScript"}
SPREAD = 0.76
PAPER_SIZES = (
    (0, "base snapshot size (Node.js; with AO)"),
    (1, "NOP function snapshot size (with AO)"),
)


def draw(record: Measurements, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as snapshots.png and snapshots.pdf in `folder`; return their paths."""
    figure, axes = style.panels(1, 3, size=(13, 4.8))
    _panel(axes[0], record, "stored pages", "pages in the store, MB (log scale)")
    for place, metric in PAPER_SIZES:
        paper = papers.find("Table 1", metric)
        axes[0].hlines(paper.number, place - 0.45, place + 0.45, color="black", linestyle=":")
        axes[0].annotate(
            paper.mark,
            (place - 0.45, paper.number),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=7.5,
        )
    _panel(axes[1], record, "capture", "capture, ms (log scale); median, 10 to 90 %")
    _panel(axes[2], record, "restore", "restore, ms (log scale); median, 10 to 90 %")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, ncols=4, loc="outside lower center")
    title = "Snapshots by level; half: network AO; hollow: none"
    return style.finish(figure, folder, snapshots.NAME, title, record.environment)


def _panel(axes: Axes, record: Measurements, metric: str, title: str) -> None:
    for index, kind in enumerate(kinds()):
        offset = (index / (len(kinds()) - 1) - 0.5) * SPREAD
        _points(axes, record, metric, kind, offset)
    axes.set_yscale("log")
    style.plain_logarithmic(axes.yaxis)
    axes.set_xticks(range(len(LEVELS)), LEVELS)
    axes.set_xlim(-0.6, len(LEVELS) - 0.4)
    axes.set_ylabel(title)


def _points(axes: Axes, record: Measurements, metric: str, kind: Kind, offset: float) -> None:
    places, medians, below, above = [], [], [], []
    for place, level in enumerate(LEVELS):
        values = record.values(metric, level=level, **kind.labels)
        if not values:
            continue
        summary = summarise(values)
        places.append(place + offset)
        medians.append(summary.median)
        below.append(summary.median - summary.p10)
        above.append(summary.p90 - summary.median)
    if not places:
        return
    colour = COLOURS[kind.isolation, kind.runtime]
    axes.errorbar(
        places,
        medians,
        yerr=(below, above),
        fmt=MARKERS[kind.runtime],
        color=colour,
        markerfacecolor="white" if kind.ao is Anticipation.NONE else colour,
        fillstyle="bottom" if kind.ao is Anticipation.NETWORK else "full",
        label=f"{kind.isolation}, {RUNTIME_TITLES[kind.runtime]}, {kind.labels['ao']}",
        capsize=3,
        markersize=6,
    )


if __name__ == "__main__":
    load = partial(Measurements.load, snapshots.NAME)
    sys.exit(redraw.main(sys.argv[1:], snapshots.NAME, load, draw))
