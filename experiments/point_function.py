"""The function with a snapshot point that experiments call, and its right answers."""

from __future__ import annotations

from experiments.functions.cpu import MODULUS, MULTIPLIER
from experiments.workloads import FOLDER
from orchestrator.function import Function


def point_function(tag: str = "") -> Function:
    """Return the function; with a tag, under an identity of its own."""
    source = (FOLDER / "point.py").read_bytes()
    return Function("point", "source", source + (f"\n# variant {tag}\n".encode() if tag else b""))


def expected(common: int, own: int) -> dict[str, int]:
    """Return the right answer, by a shorter way than the function's: it runs only in a guest."""
    return {"state": pow(MULTIPLIER, common + own, MODULUS)}
