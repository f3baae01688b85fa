"""The calls of the burst experiment: which are due when, and what comes of making them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.late_server import TEXT
from experiments.systems import Call
from experiments.workloads import FETCH, WORKLOADS
from orchestrator.function import Function
from orchestrator.network import parse_all
from snapshot_store.errors import SeussError

TURNS = 20_000
"""Of the CPU-bound function's loop."""
KINDS = {each.name: each for each in (*WORKLOADS, FETCH) if each.name in ("cpu", FETCH.name)}
CPU, IO = KINDS
"""Bursts are of one kind and the other in turn."""


@dataclass(frozen=True)
class Scale:
    """How much. Times in seconds; `rate` is background calls per second."""

    intervals: tuple[float, ...]
    bursts: int
    """In each timeline."""
    cpu_calls: int
    io_calls: int
    """Concurrent calls of a burst."""
    rate: float
    known: int
    """Functions of the background, half of them CPU-bound."""
    lead_in_s: float
    tail_s: float
    deadline_s: float
    """A call that is not answered so long after it was due has failed."""
    memory_mib: int

    def length_s(self, interval_s: float) -> float:
        """Return how long the background of a timeline lasts."""
        return self.lead_in_s + self.bursts * interval_s + self.tail_s


@dataclass(frozen=True)
class Due:
    """A call to make `at_s` seconds into the timeline; `burst` is None in the background."""

    at_s: float
    kind: str
    name: str
    """Says which function: equal names are one."""
    burst: int | None


@dataclass(frozen=True)
class Outcome:
    """A call that was made: latency from when it was due, until its answer or its failure."""

    at_s: float
    kind: str
    burst: int | None
    latency_ms: float
    path: str | None
    error: str | None


def known(scale: Scale) -> list[Due]:
    """Return one call of each function of the background, due at once."""
    return [
        Due(0.0, IO if number % 2 else CPU, f"known {number}", None)
        for number in range(scale.known)
    ]


def schedule(scale: Scale, interval_s: float) -> list[Due]:
    """Return every call of a timeline, in the order they are due."""
    functions = known(scale)
    due = [
        replace(functions[number % scale.known], at_s=number / scale.rate)
        for number in range(math.floor(scale.length_s(interval_s) * scale.rate))
    ]
    for burst in range(scale.bursts):
        kind, calls = (IO, scale.io_calls) if burst % 2 else (CPU, scale.cpu_calls)
        at = scale.lead_in_s + burst * interval_s
        due += [Due(at, kind, f"burst {burst}", burst)] * calls
    return sorted(due, key=lambda each: each.at_s)


class Calls:
    """Makes the calls of one timeline and checks their answers.

    Args:
        server: HOST:PORT of the late server, as the functions see it.
        place: the same as a unikernel's function must be given it; containers reach it anyhow.
        seed: keeps this timeline's functions apart from those of others.
        state: the right answer of the CPU-bound function.
    """

    def __init__(self, server: str, place: str, seed: str, state: Mapping[str, Any]) -> None:
        self._seed = seed
        self._arguments: dict[str, dict[str, Any]] = {CPU: {"turns": TURNS}, IO: {"server": server}}
        self._network = {CPU: (), IO: parse_all([place])}
        self._expected = {CPU: state, IO: {"status": 200, "text": TEXT}}

    def function(self, due: Due) -> Function:
        """Return the function that is called then."""
        made = KINDS[due.kind].variant(f"{self._seed}/{due.name}")
        return replace(made, network=self._network[due.kind])

    async def drive(self, call: Call, wanted: Sequence[Due], deadline_s: float) -> list[Outcome]:
        """Make each call when it is due, and return what came of them, in the same order."""
        functions = {(due.kind, due.name): self.function(due) for due in wanted}
        clock = asyncio.get_running_loop().time
        began = clock()

        async def make(due: Due) -> Outcome:
            at = began + due.at_s
            await asyncio.sleep(at - clock())
            path, error = None, None
            try:
                async with asyncio.timeout_at(at + deadline_s):
                    answer, path = await call(
                        functions[due.kind, due.name], self._arguments[due.kind]
                    )
                if answer != self._expected[due.kind]:
                    error = f"wrong answer: {answer}"
            except TimeoutError:
                error = "no answer"
            except SeussError as failure:
                error = failure.message
            # What a system then does to take a call back is no part of it any more.
            passed_s = clock() - at
            if error is not None and passed_s >= deadline_s:
                error = f"no answer within {deadline_s:g} s"
            latency_ms = min(passed_s, deadline_s) * 1000
            return Outcome(due.at_s, due.kind, due.burst, latency_ms, path, error)

        return list(await asyncio.gather(*(make(each) for each in wanted)))
