"""What all plots share: colours that colour-blind readers tell apart, sizes, and saving."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

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


def apply() -> None:
    """Set the common style; no display is needed."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
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
    )


def save(figure: Figure, folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Write the figure as PNG and PDF into `folder` and return both paths."""
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    for path in paths:
        figure.savefig(path, dpi=PNG_DPI, bbox_inches="tight")
    return paths


def how(environment: Mapping[str, Any]) -> str:
    """Say in a title what ran the guest: TCG must never be overlooked."""
    name = str(environment["accelerator"]).upper()
    return "TCG: guest emulated in software" if name == "TCG" else name
