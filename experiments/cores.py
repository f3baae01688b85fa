"""The cores experiment: warm requests per second of nodes with one core and with two.

Closed-loop clients have each request deploy a context (UC) from the function's snapshot and run.
Ways are interleaved in shuffled order within one run. The clients take processor time themselves,
so each sample says who had the host's processors; "pair", two nodes of one core side by side, says
what the machine gives to two processors that share nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from experiments import environment, host_cpu, raw_data
from experiments.own_stores import own_stores
from experiments.workloads import NOP, Workload
from orchestrator.errors import CaptureError
from orchestrator.paths import Path
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import UcNode
from orchestrator.wire import SNAPSHOT, Frame

NAME = "cores"
ROUNDS = 12
QUICK_ROUNDS = 4
SLICE_S = 1.5
"""How long one sample lasts."""
CLIENTS = 8
"""Requests under way at any time: enough that no core waits for a client."""
LIMIT_S = 60.0
ONE, TWO, PAIR = "one core", "two cores", "pair"
WAYS = (ONE, TWO, PAIR)
COMPUTE = Workload("cpu", "20 ms of computing", {"turns": 20_000})
"""About 20 ms in the guest under TCG; what it takes per request stands in the report."""
FUNCTIONS = (NOP, COMPUTE)

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the nodes, samples per way, seed of the order."""

    settings: Settings
    rounds: int
    seed: int


@dataclass(frozen=True)
class Sample:
    """One slice: right answers in so many seconds, and CPU seconds by user.

    `vcpu` are the threads that run the nodes' processors, `device` QEMU's other threads, `caller`
    this process, `others` everything else on the machine.
    """

    function: str
    way: str
    round: int
    seconds: float
    answers: int
    wrong: int
    vcpu: float
    device: float
    caller: float
    others: float

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return self.answers / self.seconds

    @property
    def others_share(self) -> float:
        """Host cores that others took from this run."""
        return self.others / self.seconds


@dataclass
class Cores:
    """The record of a run."""

    environment: dict[str, Any]
    seed: int
    rounds: int
    samples: list[Sample] = field(default_factory=list)

    def of(self, function: str, way: str) -> list[Sample]:
        """Return the samples of one function one way, in the order measured."""
        return [each for each in self.samples if (each.function, each.way) == (function, way)]

    def save(self, folder: pathlib.Path) -> None:
        """Write cores.json and cores.csv."""
        head = list(Sample.__dataclass_fields__)
        rows = (asdict(sample).values() for sample in self.samples)
        raw_data.save(folder, NAME, asdict(self), head, rows)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """Read cores.json of a results folder; OSError or ValueError if it cannot be read."""
        record = raw_data.load(folder, NAME)
        record["samples"] = [Sample(**sample) for sample in record["samples"]]
        return cls(**record)


@dataclass(frozen=True)
class _Served:
    """A node with its functions' snapshots by function name."""

    node: UcNode
    snapshots: Mapping[str, int]


def order(seed: int, round_number: int) -> list[tuple[str, str]]:
    """Functions and ways in the random order of one round; the same for the same seed."""
    shuffled = [(workload.name, way) for workload in FUNCTIONS for way in WAYS]
    random.Random(f"{seed}/{round_number}").shuffle(shuffled)
    return shuffled


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Cores:
    """Run the experiment and return its record, saved in `folder` after every round.

    Raises SeussError when a node cannot be started or does not answer.
    """
    facts = await environment.collect(plan.settings)
    record = Cores(facts.to_json(), plan.seed, plan.rounds)
    functions = {workload.name: workload for workload in FUNCTIONS}
    expected = {each.name: await asyncio.to_thread(each.expected) for each in FUNCTIONS}
    with own_stores(folder) as stores:
        async with contextlib.AsyncExitStack() as stack:
            nodes: list[_Served] = []
            for number, cores in enumerate((1, 2, 1)):
                report("starting nodes", number, 3)
                own = replace(
                    plan.settings,
                    cores=cores,
                    isolation="uc",
                    memory_mib=max(plan.settings.memory_mib, DEFAULT_MEMORY_MIB["uc"]),
                    store=stores / str(number),
                )
                nodes.append(await _serve(await stack.enter_async_context(UcDispatcher(own))))
            ways = {ONE: nodes[:1], TWO: nodes[1:2], PAIR: [nodes[0], nodes[2]]}
            steps = plan.rounds * len(FUNCTIONS) * len(WAYS)
            for number in range(plan.rounds):
                for name, way in order(plan.seed, number):
                    report(f"{name}, {way}", len(record.samples), steps)
                    sample = await _slice(functions[name], expected[name], ways[way], way, number)
                    record.samples.append(sample)
                record.save(folder)
    return record


async def _serve(dispatcher: UcDispatcher) -> _Served:
    life = await dispatcher.life()
    snapshots = {}
    for workload in FUNCTIONS:
        function = workload.function()
        first = await dispatcher.invoke(function, workload.arguments, Path.COLD)
        snapshot = life.snapshots.find(function.id)
        if first.error is not None or snapshot is None:
            raise CaptureError(f"{workload.name} cannot be prepared: {first.error}")
        snapshots[workload.name] = snapshot
    await dispatcher.flush()
    return _Served(life.node, snapshots)


async def _slice(
    workload: Workload, expected: object, nodes: Sequence[_Served], way: str, number: int
) -> Sample:
    arguments = json.dumps(workload.arguments).encode()
    right = wrong = 0
    machine, caller = host_cpu.machine_seconds(), time.process_time()
    before = _threads(nodes)
    started = time.monotonic()
    end = started + SLICE_S

    async def client(served: _Served) -> None:
        nonlocal right, wrong
        while time.monotonic() < end:
            reply = await served.node.invoke(
                SNAPSHOT | served.snapshots[workload.name], arguments, LIMIT_S
            )
            if reply.context:
                served.node.end_soon(reply.context)
            if isinstance(reply.answer, Frame) and reply.answer.json() == expected:
                right += 1
            else:
                wrong += 1

    await asyncio.gather(*(client(nodes[each % len(nodes)]) for each in range(CLIENTS)))
    seconds = time.monotonic() - started
    after = _threads(nodes)
    caller = time.process_time() - caller
    machine = host_cpu.machine_seconds() - machine
    vcpu = sum(
        used - before.get(name, 0.0) for name, used in after.items() if host_cpu.VCPU in name
    )
    node = sum(after.values()) - sum(before.values())
    return Sample(
        *(workload.name, way, number, seconds, right, wrong, vcpu, node - vcpu, caller),
        others=max(0.0, machine - node - caller),
    )


def _threads(nodes: Sequence[_Served]) -> dict[str, float]:
    """CPU seconds by node and thread."""
    return {
        f"{number} {name}": seconds
        for number, served in enumerate(nodes)
        for name, seconds in host_cpu.thread_seconds(served.node.machine.pid).items()
    }
