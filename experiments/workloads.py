"""The functions of the latency experiment with their arguments and the answers they must give."""

from __future__ import annotations

import importlib
import json
import pathlib
from dataclasses import dataclass, field
from typing import Any

from orchestrator.function import Function

FOLDER = pathlib.Path(__file__).resolve().parent / "functions"

_DOCUMENT = json.dumps({"user": {"id": 17, "name": "Ada", "tags": ["a", "b"]}, "items": [1, 2.5]})


@dataclass(frozen=True)
class Workload:
    """One function of an experiment; `name` is its file in `experiments/functions`."""

    name: str
    title: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> bytes:
        """The function's source text."""
        return (FOLDER / f"{self.name}.py").read_bytes()

    def function(self) -> Function:
        """The function as it is: the one whose snapshot warm invocations share."""
        return Function(self.name, "source", self.source)

    def variant(self, tag: str) -> Function:
        """The same function under an identity of its own, so that nothing of it is captured yet."""
        return Function(self.name, "source", self.source + f"\n# variant {tag}\n".encode())

    def expected(self) -> dict[str, Any]:
        """The right answer, computed here; not to be called inside an event loop."""
        module = importlib.import_module(f"experiments.functions.{self.name}")
        answer: dict[str, Any] = module.main(self.arguments)
        return answer


WORKLOADS = (
    Workload("nop", "NOP"),
    Workload("echo", "JSON echo", {"document": _DOCUMENT}),
    Workload("cpu", "CPU-bound", {"turns": 100_000}),
    Workload("imports", "import-heavy", {"number": "21.5"}),
)
NOP = WORKLOADS[0]
