"""The throughput experiment: a fixed number of calls over 2^k different functions.

Answers SEUSS's Figures 4 and 5 as the authors' scripts do: functions that differ in identity only,
each called as often as the others, shuffled; closed-loop clients. A SEUSS node of contexts stands
against container-pool nodes of the same memory, each empty when a trial begins. Trials of a round
are shuffled, so that a slow minute of the machine hits all alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from experiments import environment, raw_data
from experiments.own_stores import own_stores
from experiments.systems import SEUSS, SYSTEMS, Call, node_settings, open_pools, seuss
from experiments.workloads import NOP
from orchestrator.function import Function
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from snapshot_store.errors import SeussError

NAME = "throughput"

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Scale:
    """How much: calls of one trial, clients, exponents k of 2^k functions, rounds."""

    calls: int
    clients: int
    exponents: tuple[int, ...]
    rounds: int


SCALES: Mapping[str, Scale] = {
    "quick": Scale(64, 8, (0, 3, 6), 1),
    "default": Scale(256, 16, (0, 2, 4, 6, 8), 6),
    "full": Scale(8192, 128, tuple(range(14)), 3),
}
"""`full` is what the authors ran."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the node, size, seed of the order."""

    settings: Settings
    scale: Scale
    seed: int


@dataclass(frozen=True)
class Trial:
    """One trial: its calls took `seconds` in all."""

    system: str
    functions: int
    round: int
    seconds: float
    latencies_ms: list[float]
    """Of each call, in the order the calls ended, failed ones included."""
    paths: dict[str, int]
    """Calls by path taken."""
    errors: list[str]

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return (len(self.latencies_ms) - len(self.errors)) / self.seconds


@dataclass
class Throughput:
    """The record of a run."""

    environment: dict[str, Any]
    seed: int
    scale: Scale
    node_mib: int
    containers: dict[str, int] = field(default_factory=dict)
    """Most containers of each pool."""
    container_bytes: dict[str, float] = field(default_factory=dict)
    """What one more idle container adds to the proportional set size of all, by pool."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Why a system does not run here."""
    trials: list[Trial] = field(default_factory=list)

    def of(self, system: str, functions: int) -> list[Trial]:
        """Return a system's trials over so many functions, in the order measured."""
        return [t for t in self.trials if (t.system, t.functions) == (system, functions)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of functions, ascending."""
        return tuple(sorted(2**each for each in self.scale.exponents))

    def save(self, folder: pathlib.Path) -> None:
        """Write throughput.json and throughput.csv, a row per call."""
        head = ("system", "functions", "round", "trial_s", "latency_ms")
        rows = (
            (trial.system, trial.functions, trial.round, trial.seconds, each)
            for trial in self.trials
            for each in trial.latencies_ms
        )
        raw_data.save(folder, NAME, asdict(self), head, rows)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """Read throughput.json of a results folder; OSError or ValueError if it is not one."""
        record = raw_data.load(folder, NAME)
        scale = record["scale"]
        record["scale"] = Scale(**(scale | {"exponents": tuple(scale["exponents"])}))
        record["trials"] = [Trial(**trial) for trial in record["trials"]]
        return cls(**record)


def order(scale: Scale, seed: int, round_number: int) -> list[tuple[str, int]]:
    """Systems and numbers of functions in the random order of one round."""
    shuffled = [(system, 2**k) for system in SYSTEMS for k in scale.exponents]
    random.Random(f"{seed}/{round_number}").shuffle(shuffled)
    return shuffled


def calls(scale: Scale, functions: int, seed: str) -> list[Function]:
    """The calls of one trial: each function as often as the others, shuffled."""
    different = [NOP.variant(f"{seed}/{number}") for number in range(functions)]
    made = [different[number % functions] for number in range(scale.calls)]
    random.Random(seed).shuffle(made)
    return made


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Throughput:
    """Run the experiment and return its record, saved in `folder` after every trial.

    A pool that cannot run here is recorded with the reason. Raises SeussError when SEUSS cannot.
    """
    node = node_settings(plan.settings, DEFAULT_MEMORY_MIB["uc"])
    facts = await environment.collect(node)
    record = Throughput(facts.to_json(), plan.seed, plan.scale, node.memory_mib)
    expected = await asyncio.to_thread(NOP.expected)
    async with contextlib.AsyncExitStack() as stack:
        stores = stack.enter_context(own_stores(folder))
        pools = await open_pools(stack, node.memory_mib, report)
        record.containers, record.container_bytes = pools.containers, pools.container_bytes
        record.unavailable = pools.unavailable
        steps = plan.scale.rounds * len(SYSTEMS) * len(plan.scale.exponents)
        for number in range(plan.scale.rounds):
            for done, (system, functions) in enumerate(order(plan.scale, plan.seed, number)):
                if system in record.unavailable:
                    continue
                report(
                    f"{system}, {functions}", number * (steps // plan.scale.rounds) + done, steps
                )
                tag = f"{plan.seed}/{number}/{system}/{functions}"
                wanted = calls(plan.scale, functions, tag)
                own = replace(node, store=stores / f"{number}-{functions}")
                async with seuss(own) if system == SEUSS else pools.node(system) as call:
                    trial = Trial(
                        system, functions, number, *await drive(call, wanted, plan.scale, expected)
                    )
                record.trials.append(trial)
                record.save(folder)
    return record


async def drive(
    call: Call, wanted: list[Function], scale: Scale, expected: dict[str, Any]
) -> tuple[float, list[float], dict[str, int], list[str]]:
    """Have the clients make the calls; return seconds, latencies in ms, paths and errors."""
    waiting = iter(wanted)
    latencies: list[float] = []
    paths: dict[str, int] = {}
    errors: list[str] = []

    async def client() -> None:
        for function in waiting:
            started = time.perf_counter()
            try:
                answer, path = await call(function, NOP.arguments)
                if answer != expected:
                    errors.append(f"wrong answer: {answer}")
                paths[path] = paths.get(path, 0) + 1
            except SeussError as error:
                errors.append(error.message)
            latencies.append((time.perf_counter() - started) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(scale.clients)))
    return time.perf_counter() - began, latencies, paths, errors
