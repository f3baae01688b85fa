"""The network-throughput plot: a download by system.

`python -m experiments.plots.network_throughput RESULTS_DIR` draws it from network-throughput.json.
"""

from __future__ import annotations

import pathlib
import sys
from functools import partial

from experiments.measurements import Measurements
from experiments.network_throughput import NAME, TITLES, UC, VM
from experiments.plots import redraw, style
from experiments.summary import summarise


def draw(record: Measurements, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as network-throughput.png and .pdf in `folder`; return their paths."""
    figure, axes = style.panels(size=(8, 3))
    for place, name in enumerate(TITLES):
        values = record.values("download", system=name)
        if not values:
            continue
        summary = summarise(values)
        axes.barh(
            place,
            summary.median,
            xerr=([summary.median - summary.p10], [summary.p90 - summary.median]),
            color=style.BLUE if name in (UC, VM) else style.GREY,
            error_kw={"capsize": 3},
        )
        axes.plot(values, [place] * len(values), "k.", markersize=3)
    axes.set_yticks(range(len(TITLES)), list(TITLES.values()))
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("MiB/s; median, 10th to 90th percentile, and every sample")
    return style.finish(figure, folder, NAME, "One download", record.environment)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], NAME, partial(Measurements.load, NAME), draw))
