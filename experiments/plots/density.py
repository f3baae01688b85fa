"""The density plot: free memory and creation rate while a node fills with idle contexts."""

from __future__ import annotations

import pathlib
import sys
from itertools import pairwise

import matplotlib.pyplot as plt

from experiments import papers
from experiments.density import Density
from experiments.plots import redraw, style
from snapshot_store.pageset import PAGE_SIZE


def draw(record: Density, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the record as density.png and density.pdf in `folder`; return their paths."""
    style.apply()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    counts = [0, *(point.contexts for point in record.points)]
    free = [record.free_before, *(point.free_frames for point in record.points)]
    left.plot(counts, [frames * PAGE_SIZE / 2**20 for frames in free], color=style.BLUE)
    left.set_xlabel("idle contexts")
    left.set_ylabel("free memory of the node (MiB)")
    left.set_ylim(bottom=0)
    each = record.frames_each
    if each is not None:
        left.set_title(f"{record.contexts} contexts, {each:.1f} frames of 4 KiB each", fontsize=10)
    steps = [(a, b) for a, b in pairwise(record.points) if b.seconds > a.seconds]
    rates = [(b.contexts - a.contexts) / (b.seconds - a.seconds) for a, b in steps]
    right.plot([b.contexts for _, b in steps], rates, color=style.GREEN, label="this node")
    paper = papers.find("Table 3", "creation rate", "SEUSS UC")
    right.axhline(paper.number, color="black", linestyle=":", linewidth=1)
    right.annotate(
        f"paper: {paper.value}",
        (0, paper.number),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=8,
    )
    right.set_xlabel("idle contexts")
    right.set_ylabel("contexts created per second")
    right.set_ylim(bottom=0)
    name = record.environment["accelerator"].upper()
    figure.suptitle(
        f"Density of idle contexts ({name}, {record.node_mib} MiB node)", fontweight="bold"
    )
    try:
        return style.save(figure, folder, "density")
    finally:
        plt.close(figure)


if __name__ == "__main__":
    sys.exit(redraw.main(sys.argv[1:], "density", Density.load, draw))
