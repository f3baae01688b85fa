"""The dirty-tracking plot: how much each way finds and whose it is, and how long it takes."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
from matplotlib.axes import Axes

from experiments import dirty_report
from experiments.dirty_record import BITMAP, BYTES, PAGEMAP, SOFT, WALK, DirtyTracking
from experiments.dirty_sets import KINDS
from experiments.plots import redraw, style

LABELS = {
    WALK: "walk",
    "walk again": "walk,\nagain",
    BITMAP: "bitmap",
    PAGEMAP: "pagemap",
    SOFT: "soft-\ndirty",
    BYTES: "bytes",
}
COLOURS = dict(zip(KINDS, (style.BLUE, style.ORANGE, style.GREEN, style.GREY), strict=True))
HATCHES = dict(zip(KINDS, ("", "//", "..", "xx"), strict=True))
POINTS = ((style.BLUE, "o"), (style.VERMILION, "s"), (style.GREEN, "D"))
"""One for each function; markers differ too, for print without colour."""


def draw(record: DirtyTracking, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as dirty-tracking.png and .pdf in `folder`; return their paths."""
    figure, (left, right) = style.panels(1, 2, size=(12, 4.8), width_ratios=(1.6, 1))
    _draw_sets(left, record)
    _draw_times(right, record)
    title = "What a function's import wrote, found four ways"
    return style.finish(figure, folder, "dirty-tracking", title, record.environment)


def _draw_sets(axes: Axes, record: DirtyTracking) -> None:
    ways = dirty_report.ways(record)
    places, labels = [], []
    for group, function in enumerate(dirty_report.functions(record)):
        start = group * (len(ways) + 1)
        samples = record.good(function)
        for offset, way in enumerate(ways):
            splits = [sample.owners().split(sample.found(way)) for sample in samples]
            bottom = 0.0
            for kind in KINDS:
                height = float(np.median([split[kind] for split in splits]))
                axes.bar(
                    start + offset,
                    height,
                    bottom=bottom,
                    color=COLOURS[kind],
                    hatch=HATCHES[kind],
                    edgecolor="white",
                    linewidth=0,
                )
                bottom += height
            axes.text(start + offset, bottom, f"{bottom:g}", ha="center", va="bottom", fontsize=8)
            places.append(start + offset)
            labels.append(LABELS[way])
        middle = start + (len(ways) - 1) / 2
        title = dirty_report.TITLES[function]
        axes.text(middle, -0.2, title, ha="center", transform=axes.get_xaxis_transform())
    axes.set_xticks(places, labels, fontsize=8, rotation=35)
    axes.set_ylabel("frames of 4 KiB (median)")
    for kind, title in zip(KINDS, dirty_report.KIND_TITLES, strict=True):
        axes.bar(0, 0, color=COLOURS[kind], hatch=HATCHES[kind], edgecolor="white", label=title)
    axes.margins(y=0.12)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.22))
    axes.set_title("frames found, by whose they are", fontsize=10)


def _draw_times(axes: Axes, record: DirtyTracking) -> None:
    names = [name for name in LABELS if any(name in sample.times_ms for sample in record.good())]
    for (colour, marker), function in zip(POINTS, dirty_report.functions(record), strict=False):
        values = [[sample.times_ms[name] for sample in record.good(function)] for name in names]
        axes.plot(
            range(len(names)),
            [float(np.median(each)) for each in values],
            linestyle="none",
            marker=marker,
            markersize=7,
            color=colour,
            label=dirty_report.TITLES[function],
        )
        for place, each in enumerate(values):
            axes.plot([place] * len(each), each, ".", color=colour, markersize=3, alpha=0.5)
    axes.set_yscale("log")
    style.plain_logarithmic(axes.yaxis)
    axes.set_ylabel("ms (log scale); large: median, small: samples")
    axes.set_xticks(range(len(names)), [LABELS[name] for name in names])
    if names:
        axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    axes.set_title("time to find them (walk: guest's clock)", fontsize=10)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], "dirty-tracking", DirtyTracking.load, draw))
