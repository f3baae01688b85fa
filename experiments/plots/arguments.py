"""The arguments plot: latency warm and resumed, and the gain, by the share of common computation.

`python -m experiments.plots.arguments RESULTS_DIR` draws it again from arguments.json.
"""

from __future__ import annotations

import pathlib
import sys
from functools import partial

from matplotlib.axes import Axes

from experiments import arguments
from experiments.arguments import ISOLATIONS, SHARES
from experiments.measurements import Measurements
from experiments.plots import redraw, style
from experiments.summary import FEWEST, ratio_of_medians, summarise

COLOURS = {"vm": style.BLUE, "uc": style.VERMILION}
SHIFTS = {"vm": -0.008, "uc": 0.008}
"""Moves the points of one isolation aside, so that intervals do not hide each other."""
LINES = {"warm": ("--", "o"), "resumed": ("-", "D")}


def draw(record: Measurements, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as arguments.png and arguments.pdf in `folder`; return their paths."""
    figure, (left, right) = style.panels(1, 2, size=(11, 4.4))
    for isolation in ISOLATIONS:
        for path in LINES:
            _latency(left, record, isolation, path)
        _gain(right, record, isolation)
    shares = [share for share in SHARES if share < 1]
    right.plot(
        *(shares, [1 / (1 - share) for share in shares]),
        color=style.GREY,
        linestyle=":",
        label="without any other cost: 1 / (1 - share)",
    )
    left.set_ylabel("ms (log scale); median, 10th to 90th percentile")
    right.set_ylabel(f"warm / resumed (log scale); {_bounds(record)}")
    for axes in (left, right):
        axes.set_xlabel("share of the computation that is common")
        axes.set_yscale("log")
        style.plain_logarithmic(axes.yaxis)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    title = "What argument snapshots gain"
    return style.finish(figure, folder, arguments.NAME, title, record.environment)


def _bounds(record: Measurements) -> str:
    return "95 % interval" if record.rounds >= FEWEST else f"range of {record.rounds}"


def _latency(axes: Axes, record: Measurements, isolation: str, path: str) -> None:
    found = [(share, _values(record, isolation, path, share)) for share in SHARES]
    points = [(share, summarise(values)) for share, values in found if values]
    if not points:
        return
    medians = [summary.median for _, summary in points]
    line, marker = LINES[path]
    axes.errorbar(
        [share + SHIFTS[isolation] for share, _ in points],
        medians,
        yerr=(
            [summary.median - summary.p10 for _, summary in points],
            [summary.p90 - summary.median for _, summary in points],
        ),
        linestyle=line,
        marker=marker,
        color=COLOURS[isolation],
        capsize=3,
        label=f"{path} ({isolation})",
    )


def _gain(axes: Axes, record: Measurements, isolation: str) -> None:
    shares, ratios = [], []
    for share in SHARES:
        warm = _values(record, isolation, "warm", share)
        resumed = _values(record, isolation, "resumed", share)
        if warm and resumed:
            shares.append(share + SHIFTS[isolation])
            ratios.append(ratio_of_medians(warm, resumed, record.seed))
    if not shares:
        return
    axes.errorbar(
        shares,
        [ratio.value for ratio in ratios],
        # A median's bootstrap interval need not hold the median of few samples.
        yerr=(
            [max(0.0, ratio.value - ratio.low) for ratio in ratios],
            [max(0.0, ratio.high - ratio.value) for ratio in ratios],
        ),
        marker=LINES["resumed"][1],
        color=COLOURS[isolation],
        capsize=3,
        label=isolation,
    )


def _values(record: Measurements, isolation: str, path: str, share: float) -> list[float]:
    return record.values("latency", isolation=isolation, path=path, share=f"{share:g}")


if __name__ == "__main__":
    load = partial(Measurements.load, arguments.NAME)
    sys.exit(redraw.main(sys.argv[1:], arguments.NAME, load, draw))
