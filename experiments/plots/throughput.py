"""The throughput plot: calls per second, and latency percentiles, by working set."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from experiments.peers.oci import Crun
from experiments.peers.podman import Podman
from experiments.plots import redraw, style
from experiments.systems import SEUSS, SYSTEMS, TITLES
from experiments.throughput import NAME, Throughput

LOOKS = {
    SEUSS: (style.BLUE, "o"),
    Podman.name: (style.VERMILION, "s"),
    Crun.name: (style.ORANGE, "^"),
}
"""Markers differ too, for print without colour."""
LOW, MIDDLE, HIGH = 1, 50, 99


def draw(record: Throughput, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as throughput.png and throughput.pdf in `folder`; return their paths."""
    figure, (left, right) = style.panels(1, 2, size=(12, 4.6))
    for place, system in enumerate(SYSTEMS):
        _draw_rates(left, record, system)
        _draw_latencies(right, record, system, 2 ** ((place - 1) * 0.15))
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(record.sizes, [f"{each:,}" for each in record.sizes])
        axes.set_xlabel(f"different functions among {record.scale.calls:,} calls")
    left.legend(fontsize=8)
    left.set_ylabel("calls per second: median and range of rounds")
    right.set_ylabel(f"latency in ms: median, {LOW} % to {HIGH} %")
    title = f"Throughput and latency by working set, {record.scale.clients} clients"
    return style.finish(figure, folder, "throughput", title, record.environment)


def _draw_rates(axes: Axes, record: Throughput, system: str) -> None:
    points = {}
    for size in record.sizes:
        rates = [trial.rate for trial in record.of(system, size)]
        if rates:
            points[float(size)] = (min(rates), float(np.median(rates)), max(rates))
    _draw_line(axes, system, points)


def _draw_latencies(axes: Axes, record: Throughput, system: str, aside: float) -> None:
    points = {}
    for size in record.sizes:
        found = [each for trial in record.of(system, size) for each in trial.latencies_ms]
        if found:
            low, middle, high = np.percentile(found, [LOW, MIDDLE, HIGH])
            points[size * aside] = (float(low), float(middle), float(high))
    _draw_line(axes, system, points)


def _draw_line(axes: Axes, system: str, points: Mapping[float, tuple[float, float, float]]) -> None:
    if not points:
        axes.plot([], [], label=f"{TITLES[system]}: does not run here", color=style.GREY)
        return
    colour, marker = LOOKS[system]
    low, middle, high = np.array(list(points.values())).T
    axes.errorbar(
        list(points),
        middle,
        yerr=(middle - low, high - middle),
        color=colour,
        marker=marker,
        capsize=3,
        label=TITLES[system],
    )


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], NAME, Throughput.load, draw))
