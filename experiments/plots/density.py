"""The density plot: a node that fills with idle contexts, and other systems' instances beside."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments import papers
from experiments.crowds import TITLES, Crowd
from experiments.density import Density
from experiments.density_report import UC
from experiments.plots import redraw, style
from snapshot_store.pageset import PAGE_SIZE


def draw(record: Density, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as density.png and density.pdf in `folder`; return their paths."""
    figure, axes = style.panels(2, 2, size=(12, 8))
    (memory, pace), (density, creation) = axes
    _draw_memory(memory, record)
    _draw_pace(pace, record)
    _draw_density(density, record)
    _draw_creation(creation, record)
    title = f"Density of idle instances, {record.node_mib} MiB node of contexts"
    return style.finish(figure, folder, "density", title, record.environment)


def _draw_memory(axes: Axes, record: Density) -> None:
    counts = [0, *(point.contexts for point in record.points)]
    free = [record.free_before, *(point.free_frames for point in record.points)]
    axes.plot(counts, [frames * PAGE_SIZE / 2**20 for frames in free], color=style.BLUE)
    axes.set_xlabel("idle contexts")
    axes.set_ylabel("free memory of the node (MiB)")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0)
    each = record.frames_each
    if each is not None:
        title = f"{record.contexts:,} contexts, {each:.1f} frames of 4 KiB each"
        axes.set_title(title, fontsize=10)


def _draw_pace(axes: Axes, record: Density) -> None:
    seconds = [0.0, *(point.seconds for point in record.points)]
    counts = [0, *(point.contexts for point in record.points)]
    axes.plot(seconds, counts, color=style.GREEN, label="this node")
    paper = papers.find("Table 3", "creation rate", "SEUSS UC")
    axes.plot(
        seconds,
        [paper.number * each for each in seconds],
        color="black",
        linestyle=":",
        linewidth=1,
        label=paper.mark,
    )
    axes.set_xlabel("seconds")
    axes.set_ylabel("contexts; flat until those begun are idle")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.08))


def _draw_density(axes: Axes, record: Density) -> None:
    found = {title: crowd.per_gib for title, crowd in _crowds(record).items()}
    values = {} if record.per_gib is None else {UC: record.per_gib}
    values |= found
    bars = axes.barh(list(values), list(values.values()), color=_colours(values))
    axes.bar_label(bars, [f"{value:,.0f}" for value in values.values()], padding=3, fontsize=8)
    axes.margins(x=0.2)
    axes.set_xlabel("idle instances per GiB (PSS and the kernel's memory)")
    _finish(axes)


def _draw_creation(axes: Axes, record: Density) -> None:
    values, low, high = {}, [], []
    if record.rate is not None:
        values[UC] = record.rate
        low.append(0.0)
        high.append(0.0)
    for title, crowd in _crowds(record).items():
        values[title] = crowd.rate
        slow, fast = crowd.workers * 1000 / np.percentile(crowd.start_ms, [90, 10])
        low.append(max(0.0, crowd.rate - slow))
        high.append(max(0.0, fast - crowd.rate))
    axes.barh(
        list(values),
        list(values.values()),
        color=_colours(values),
        xerr=(low, high),
        error_kw={"capsize": 3, "linewidth": 1},
    )
    axes.set_xlabel("created per second; whiskers: 10 % to 90 % of starts")
    _finish(axes)


def _crowds(record: Density) -> dict[str, Crowd]:
    found = {title: record.crowd(system) for system, title in TITLES.items()}
    return {title: crowd for title, crowd in found.items() if crowd is not None}


def _colours(titles: Iterable[str]) -> list[str]:
    return [style.BLUE if title == UC else style.GREY for title in titles]


def _finish(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], "density", Density.load, draw))
