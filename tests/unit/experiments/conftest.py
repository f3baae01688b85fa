"""A small record of a latency run, made up: what the pure parts of the experiments work on."""

from __future__ import annotations

import pytest

from experiments.latency import OTHERS, cells
from experiments.recording import Cell, DiskCost, Recording, Sample, Size

MS = {"process": 10.0, "booted": 1000.0, "cold": 100.0, "warm": 20.0}
MS |= dict.fromkeys(OTHERS, 250.0)
UC_MS = {"cold": 8.0, "warm": 4.0, "hot": 0.5}
ROUNDS = 4


def latency(cell: Cell, number: int) -> float:
    """Milliseconds that the made-up sample of a cell takes in a round."""
    base = (MS if cell.isolation == "vm" else UC_MS)[cell.path]
    base *= 0.5 if cell.function.endswith("_js") else 1.0
    return base * (1.5 if cell.ao is False else 1.0) + number


@pytest.fixture
def recording() -> Recording:
    """A record in which every promise is kept."""
    made = Recording(
        environment={
            "accelerator": "tcg",
            "machine": "microvm",
            "cores": 2,
            "started": 1.7e9,
            "image_sha256": "ab" * 32,
        },
        seed=7,
        rounds=ROUNDS,
        quick=True,
    )
    for number in range(ROUNDS):
        for cell in cells():
            phases = {"restore": 4.0, "run": 2.0 + number} if cell.ao is not None else {}
            made.samples.append(
                Sample(cell, number, len(made.samples), latency(cell, number), phases)
            )
    for ao in (True, False):
        made.sizes.append(Size("base", None, ao, 5000, 21_000_000))
        made.sizes.append(Size("function", "nop", ao, 100, 450_000))
    for isolation in ("vm", "uc"):
        made.sizes.append(Size("base", None, True, 930, 3_900_000, isolation, "js"))
        made.sizes.append(Size("function", "nop_js", True, 50, 230_000, isolation, "js"))
    made.disk = DiskCost(100, 21_000_000, 66_500_000, 45_000_000, 2_145_000_000)
    return made
