"""The papers' own figures, from `paper_figures.csv`: to stand beside ours, not to replace them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class PaperFigure:
    """One published figure.

    `status` says how sure it is: "primary" (read in the paper or the authors' code), "second-hand"
    or "unconfirmed".
    """

    paper: str
    item: str
    system: str
    metric: str
    value: str
    unit: str
    status: str
    note: str

    @property
    def number(self) -> float:
        """The value as a number; ValueError where the paper gives several."""
        return float(self.value)

    @property
    def mark(self) -> str:
        """How pictures name it: as the paper's, with its status."""
        return f"paper ({self.status}): {self.value} {self.unit}"


def load() -> list[PaperFigure]:
    """Return all figures in the file's order."""
    text = files("experiments").joinpath("paper_figures.csv").read_text(encoding="utf-8")
    return [PaperFigure(**row) for row in csv.DictReader(text.splitlines())]


def find(item: str, metric: str, system: str = "SEUSS") -> PaperFigure:
    """Return the figure of that table, metric and system; KeyError unless there is exactly one."""
    found = [
        figure
        for figure in load()
        if (figure.item, figure.metric, figure.system) == (item, metric, system)
    ]
    if len(found) != 1:
        raise KeyError(f"{len(found)} figures for {item!r}, {metric!r}, {system!r}")
    return found[0]
