"""The micro-preemption plot: throughput kept by quantum, waits behind a spinning function."""

from __future__ import annotations

import pathlib
import sys
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from experiments import micro_preemption as parts
from experiments.micro_preemption import BARE, BUDGET_US, DELAY, WORKER
from experiments.micro_preemption_report import GRACE_US, UNDISTURBED, kept, paper_kept, rate
from experiments.micro_runs import MicroRecord
from experiments.plots import redraw, style


def draw(record: MicroRecord, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as micro-preemption.png and .pdf in `folder`; return their paths."""
    figure, (left, right) = style.panels(1, 2, size=(11, 4.4))
    _draw_kept(left, record)
    _draw_waits(right, record)
    title = "Preemption of native functions"
    return style.finish(figure, folder, parts.NAME, title, record.environment)


def _draw_kept(axes: Axes, record: MicroRecord) -> None:
    for way, colour, marker in ((WORKER, style.BLUE, "o-"), (BARE, style.ORANGE, "s--")):
        points = [(quantum / 1000, kept(record, way, quantum)) for quantum in parts.QUANTA_NS]
        known = [(quantum, part) for quantum, part in points if part is not None]
        label = "worker" if way == WORKER else "bare loop, same tick"
        axes.plot([x for x, _ in known], [y for _, y in known], marker, color=colour, label=label)
        without = rate(record, way, parts.NO_TICK)
        if without:
            for quantum in parts.QUANTA_NS:
                rounds = [each / without for each in record.rates(way, quantum_ns=quantum)]
                axes.plot([quantum / 1000] * len(rounds), rounds, ".", color=colour, alpha=0.4)
    paper = [(quantum / 1000, paper_kept(quantum)) for quantum in parts.QUANTA_NS]
    drawn = [(quantum, part) for quantum, part in paper if part is not None]
    xs, ys = [x for x, _ in drawn], [y for _, y in drawn]
    axes.plot(xs, ys, "D:", color="black", markerfacecolor="white", label="paper (primary)")
    axes.set_xscale("log")
    axes.set_xlim(2, 1500)
    style.plain_logarithmic(axes.xaxis)
    axes.set_xlabel("quantum (us)")
    axes.set_ylabel(f"throughput kept: {UNDISTURBED}th percentile; dots: rounds")
    axes.set_ylim(0, 1.1)
    axes.legend(loc="lower right", fontsize=8)


def _draw_waits(axes: Axes, record: MicroRecord) -> None:
    colours = (style.GREEN, style.VERMILION)
    for quantum, colour in zip(parts.DELAY_QUANTA_NS, colours, strict=True):
        waits = np.sort(record.samples(DELAY, "wait_ns", quantum_ns=quantum)) / 1e3
        if len(waits):
            shares = np.arange(1, len(waits) + 1) / len(waits)
            axes.plot(waits, shares, color=colour, label=f"quantum {quantum // 1000} us")
    axes.axvline(BUDGET_US, color="black", linestyle=":", linewidth=1)
    axes.axvline(BUDGET_US + GRACE_US, color="black", linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(left=50)
    style.plain_logarithmic(axes.xaxis)
    axes.set_xlabel(f"wait behind a spinning function (us); dotted: its budget, {BUDGET_US} us")
    axes.set_ylabel("share of requests")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize=8)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], parts.NAME, partial(MicroRecord.load, parts.NAME), draw))
