"""The functions of the latency experiment with their arguments and the answers they must give."""

from __future__ import annotations

import importlib
import json
import pathlib
from dataclasses import dataclass, field
from typing import Any

from orchestrator.function import Function
from orchestrator.runtimes import DEFAULT_RUNTIME, find_runtime

FOLDER = pathlib.Path(__file__).resolve().parent / "functions"

_DOCUMENT = json.dumps({"user": {"id": 17, "name": "Ada", "tags": ["a", "b"]}, "items": [1, 2.5]})


@dataclass(frozen=True)
class Workload:
    """One function of an experiment.

    Its file in `experiments/functions` is named by `name` and the runtime's ending; another
    runtime's `name` ends in "_" and the runtime, and its answer is that of the file in Python.
    """

    name: str
    title: str
    arguments: dict[str, Any] = field(default_factory=dict)
    runtime: str = DEFAULT_RUNTIME

    @property
    def source(self) -> bytes:
        """The function's source text."""
        return (FOLDER / f"{self._stem}{find_runtime(self.runtime).suffixes[0]}").read_bytes()

    def function(self) -> Function:
        """The function as it is: the one whose snapshot warm invocations share."""
        return Function(self.name, "source", self.source, runtime=self.runtime)

    def variant(self, tag: str) -> Function:
        """The same function under an identity of its own, so that nothing of it is captured yet."""
        comment = f"\n{find_runtime(self.runtime).comment} variant {tag}\n".encode()
        return Function(self.name, "source", self.source + comment, runtime=self.runtime)

    def expected(self) -> dict[str, Any]:
        """The right answer, computed here; not to be called inside an event loop."""
        module = importlib.import_module(f"experiments.functions.{self._stem}")
        answer: dict[str, Any] = module.main(self.arguments)
        return answer

    @property
    def _stem(self) -> str:
        return self.name.removesuffix(f"_{self.runtime}")


WORKLOADS = (
    Workload("nop", "NOP"),
    Workload("echo", "JSON echo", {"document": _DOCUMENT}),
    Workload("cpu", "CPU-bound", {"turns": 100_000}),
    Workload("imports", "import-heavy", {"number": "21.5"}),
)
NOP = WORKLOADS[0]
JAVASCRIPT = (
    Workload("nop_js", "NOP, JavaScript", runtime="js"),
    Workload("echo_js", "JSON echo, JavaScript", {"document": _DOCUMENT}, runtime="js"),
)
"""The same functions in the other language."""
ALL = (*WORKLOADS, *JAVASCRIPT)
NOPS = (NOP.name, JAVASCRIPT[0].name)
"""NOP in each runtime, by name."""
FETCH = Workload("fetch", "IO-bound")
"""Needs a server, and arguments that name it; its answer is the server's."""
