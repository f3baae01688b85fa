"""The function with a snapshot point that experiments call, and its right answers."""

from __future__ import annotations

from experiments.functions.cpu import MODULUS, MULTIPLIER
from experiments.workloads import FOLDER
from orchestrator.function import Function
from orchestrator.runtimes import DEFAULT_RUNTIME, find_runtime


def point_function(tag: str = "", runtime: str = DEFAULT_RUNTIME) -> Function:
    """Return the function; with a tag, under an identity of its own."""
    facts = find_runtime(runtime)
    source = (FOLDER / f"point{facts.suffixes[0]}").read_bytes()
    variant = f"\n{facts.comment} variant {tag}\n".encode() if tag else b""
    return Function("point", "source", source + variant, runtime=runtime)


def expected(common: int, own: int) -> dict[str, int]:
    """Return the right answer, by a shorter way than the function's: it runs only in a guest."""
    return {"state": pow(MULTIPLIER, common + own, MODULUS)}
