"""The burst plot: every call of each system at each interval, by when it was due."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.burst import NAME, Burst, Timeline
from experiments.burst_calls import CPU, IO, Outcome
from experiments.burst_report import PERCENTILES, failed
from experiments.plots import redraw, style
from experiments.systems import SYSTEMS, TITLES

COLOURS = {CPU: style.BLUE, IO: style.ORANGE}
MARKERS = {CPU: "o", IO: "^"}
"""Markers differ too, for print without colour."""
LOW, _, HIGH = PERCENTILES
SIZE = 12
LIGHT = 0.18


def draw(record: Burst, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as burst.png and burst.pdf in `folder`; return their paths."""
    intervals = record.scale.intervals
    figure, grid = style.panels(
        len(SYSTEMS), len(intervals), size=(13, 9), sharey=True, sharex="col", squeeze=False
    )
    for system, line in zip(SYSTEMS, grid, strict=True):
        for interval, axes in zip(intervals, line, strict=True):
            title = f"{TITLES[system]}, every {interval:g} s"
            timeline = record.of(system, interval)
            if timeline is None:
                reason = "does not run here" if system in record.unavailable else "not measured"
                axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center")
            else:
                _draw_panel(axes, timeline)
                title += f"\n{_told(timeline)}"
            axes.set_title(title, fontsize=8)
            axes.set_yscale("log")
            axes.set_xlim(0, record.scale.length_s(interval))
        line[0].set_ylabel("latency (ms)")
    for axes in grid[-1]:
        axes.set_xlabel("time at which the call was due (s)")
    _legend(figure)
    title = (
        f"Bursts of a new function each, {record.scale.cpu_calls} CPU-bound and "
        f"{record.scale.io_calls} IO-bound calls in turn"
    )
    return style.finish(figure, folder, NAME, title, record.environment)


def _draw_panel(axes: Axes, timeline: Timeline) -> None:
    bursts = timeline.bursts()
    for number in sorted({each.burst for each in bursts if each.burst is not None}):
        own = [each for each in bursts if each.burst == number]
        start, end = own[0].at_s, max(each.at_s + each.latency_ms / 1000 for each in own)
        axes.axvspan(start, end, color=COLOURS[own[0].kind], alpha=LIGHT, linewidth=0)
    for kind in (CPU, IO):
        _scatter(axes, timeline.background(kind), style.GREY, MARKERS[kind])
        _scatter(axes, timeline.bursts(kind), COLOURS[kind], MARKERS[kind])
    wrong = [each for each in timeline.outcomes if each.error is not None]
    axes.scatter(
        [each.at_s for each in wrong],
        [each.latency_ms for each in wrong],
        color=style.VERMILION,
        marker="x",
        zorder=3,
    )


def _told(timeline: Timeline) -> str:
    bursts, between = timeline.bursts(), timeline.background()
    low, middle, high = np.percentile([each.latency_ms for each in bursts], PERCENTILES)
    return (
        f"bursts: median {middle:,.0f} ms, {LOW} % to {HIGH} %: {low:,.0f} to {high:,.0f} ms\n"
        f"failed: {failed(bursts)} of {len(bursts)} in bursts, "
        f"{failed(between)} of {len(between)} in the background"
    )


def _scatter(axes: Axes, outcomes: Sequence[Outcome], colour: str, marker: str) -> None:
    good = [each for each in outcomes if each.error is None]
    axes.scatter(
        [each.at_s for each in good],
        [each.latency_ms for each in good],
        s=SIZE,
        color=colour,
        marker=marker,
        alpha=0.6,
        linewidths=0,
    )


def _legend(figure: Figure) -> None:
    names = {CPU: "CPU-bound", IO: "IO-bound"}

    def dots(colour: str, marker: str, label: str) -> Line2D:
        return Line2D([], [], color=colour, marker=marker, linestyle="", label=label)

    handles: list[Line2D | Patch] = []
    for kind, name in names.items():
        handles.append(dots(COLOURS[kind], MARKERS[kind], f"burst, {name}"))
        handles.append(dots(style.GREY, MARKERS[kind], f"background, {name}"))
    handles.append(dots(style.VERMILION, "x", "failed"))
    handles.append(
        Patch(color=style.GREY, alpha=LIGHT, linewidth=0, label="a burst until its last call ended")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=8)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], NAME, Burst.load, draw))
