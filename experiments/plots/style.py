"""What all plots share: colours that colour-blind readers tell apart, sizes, and saving."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILION = "#D55E00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"
GREY = "#666666"
"""The Okabe-Ito palette, with a grey for what is not ours."""

PNG_DPI = 160
NARROW = 30.0
"""A logarithmic axis whose ends are closer together has more than powers of ten."""


_COMMON: Mapping[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "pdf.fonttype": 42,
}


def panels(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float], **layout: Any
) -> tuple[Figure, Any]:
    """Return a new figure of `size` (inches) in the common style, and its axes.

    One panel gives its axes, several an array of them; `layout` goes to `Figure.subplots`. Nothing
    of it outlives the figure, and no display is needed.
    """
    matplotlib.rcParams.update(_COMMON)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **layout)


def finish(
    figure: Figure, folder: pathlib.Path, name: str, title: str, environment: Mapping[str, Any]
) -> list[pathlib.Path]:
    """Give the figure its title, write it as PNG and PDF into `folder`, return both paths."""
    figure.suptitle(f"{title} ({how(environment)})", fontweight="bold")
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    for path in paths:
        figure.savefig(path, dpi=PNG_DPI, bbox_inches="tight")
    return paths


def plain_logarithmic(axis: Axis) -> None:
    """Have an axis with a logarithmic scale and its data drawn show plain numbers."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < NARROW * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def short(value: float) -> str:
    """Return a number for a label: three digits, or the whole ones."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def how(environment: Mapping[str, Any]) -> str:
    """Say in a title what ran the functions: TCG must never be overlooked."""
    name = str(environment["accelerator"])
    if name == "tcg":
        return "TCG: guest emulated in software"
    # "none: " comes before what ran where there is no guest.
    return name.partition("none: ")[2] or name.upper()
