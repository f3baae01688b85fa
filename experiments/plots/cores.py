"""The cores plot: requests per second by way, and who had the host's processors."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments import cores_report
from experiments.cores import FUNCTIONS, ONE, WAYS, Cores, Sample
from experiments.plots import redraw, style

USERS = (
    ("vcpu", "nodes' processors", style.BLUE, ""),
    ("device", "QEMU's devices", style.ORANGE, "//"),
    ("caller", "caller", style.GREEN, ".."),
    ("others", "others", style.GREY, "xx"),
)
MARKERS = ((style.BLUE, "o"), (style.VERMILION, "s"))
"""One for each function; markers differ too, for print without colour."""


def draw(record: Cores, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as cores.png and cores.pdf in `folder`; return their paths."""
    figure, (left, right) = style.panels(1, 2, size=(12, 4.6), width_ratios=(1, 1.3))
    _draw_ratios(left, record)
    _draw_users(right, record)
    title = "Warm requests per second by cores"
    return style.finish(figure, folder, "cores", title, record.environment)


def _draw_ratios(axes: Axes, record: Cores) -> None:
    for number, (workload, (colour, marker)) in enumerate(zip(FUNCTIONS, MARKERS, strict=True)):
        alone = _rates(cores_report.judged(record, workload.name, ONE))
        if not alone:
            continue
        unit = float(np.median(alone))
        for place, way in enumerate(WAYS):
            samples = record.of(workload.name, way)
            judged = cores_report.judged(record, workload.name, way)
            at = place + (number - 0.5) * 0.3
            label = f"{workload.title}: {unit:.0f}/s on one core" if place == 0 else None
            for each, aside in zip(samples, np.linspace(-0.08, 0.08, len(samples)), strict=True):
                # Hollow: no part of the verdict.
                fill = colour if each in judged else "none"
                axes.plot(at + aside, each.rate / unit, marker, color=colour, mfc=fill, alpha=0.7)
            axes.plot([], [], marker, color=colour, label=label)
            if judged:
                middle = float(np.median(_rates(judged))) / unit
                axes.hlines(middle, at - 0.12, at + 0.12, color="black")
    axes.axhline(cores_report.LEAST, color="black", linestyle=":", linewidth=1)
    axes.annotate(
        f"promised: {cores_report.LEAST:g}",
        (-0.5, cores_report.LEAST),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=8,
    )
    axes.set_xticks(range(len(WAYS)), WAYS)
    axes.set_xlim(-0.5, len(WAYS) - 0.5)
    axes.set_ylabel("requests per second / median on one core\nhollow: others disturbed it")
    axes.set_ylim(bottom=0)
    if record.samples:
        axes.legend(loc="lower right", fontsize=8)


def _rates(samples: Sequence[Sample]) -> list[float]:
    return [each.rate for each in samples]


def _draw_users(axes: Axes, record: Cores) -> None:
    groups = [(workload, way) for workload in FUNCTIONS for way in WAYS]
    bottom = np.zeros(len(groups))
    for user, label, colour, hatch in USERS:
        heights = []
        for workload, way in groups:
            samples = record.of(workload.name, way)
            shares = [getattr(each, user) / each.seconds for each in samples]
            heights.append(float(np.median(shares)) if shares else 0.0)
        axes.bar(
            range(len(groups)),
            heights,
            bottom=bottom,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=label,
        )
        bottom += heights
    axes.axhline(record.environment["cores"], color="black", linestyle=":", linewidth=1)
    axes.set_xticks(
        range(len(groups)), [f"{workload.name}\n{way}" for workload, way in groups], fontsize=8
    )
    axes.set_ylabel("host cores in use (median)")
    axes.set_ylim(0, record.environment["cores"] * 1.35)
    axes.legend(loc="upper left", ncols=4, fontsize=8)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], "cores", Cores.load, draw))
