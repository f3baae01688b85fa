"""The latency experiment: each function on each path, interleaved, and NOP beside other systems.

Answers SEUSS's Table 2 (cold, warm), its AO table and Table 1 (snapshot sizes). Claims are ratios
of samples taken in one run; the order within each round is shuffled with a stored seed, so that a
slow minute of the machine hits all ways alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments import environment
from experiments.own_stores import own_stores
from experiments.peers import line_up, linux_process
from experiments.peers.errors import PeerError
from experiments.peers.peer import Peer
from experiments.recording import Cell, DiskCost, Recording, Sample, Size
from experiments.workloads import ALL, JAVASCRIPT, NOP, NOPS, WORKLOADS, Workload
from orchestrator.anticipation import Anticipation
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.runtimes import DEFAULT_RUNTIME
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store import Level, SnapshotStore
from snapshot_store.errors import SeussError

ROUNDS = 30
QUICK_ROUNDS = 10
DISK_FUNCTIONS = 100
PROCESS = "process"
OTHERS = tuple(name for name in line_up.PEERS if name != PROCESS)
"""Peers that NOP is called on."""
UC_PATHS = (Path.COLD, Path.WARM, Path.HOT)
HOT_OFTEN = 5
"""Hot calls of NOP in each round: one takes less than what the machine's other work takes of it."""
PATIENCE = 3
"""Failures in a row after which a cell is given up, so that a broken way does not cost hours."""

Kind = tuple[str, bool, str]
"""Isolation, whether the base is optimised, and the runtime."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the node, samples per cell, seed of the order."""

    settings: Settings
    rounds: int
    quick: bool
    seed: int


def cells() -> list[Cell]:
    """Every combination that a round measures."""
    found = [Cell(NOP.name, name) for name in OTHERS]
    for workload in WORKLOADS:
        found += [Cell(workload.name, PROCESS), Cell(workload.name, Path.BOOTED.value)]
        found += [
            Cell(workload.name, path.value, ao)
            for path in (Path.COLD, Path.WARM)
            for ao in (True, False)
        ]
        found += [Cell(workload.name, path.value, True, "uc") for path in UC_PATHS]
    for workload in JAVASCRIPT:
        found.append(Cell(workload.name, Path.BOOTED.value))
        found += [
            Cell(workload.name, path.value, True, isolation)
            for isolation, paths in (("vm", (Path.COLD, Path.WARM)), ("uc", UC_PATHS))
            for path in paths
        ]
    return found


def times(cell: Cell) -> int:
    """How often a round measures the cell."""
    return HOT_OFTEN if cell.path == Path.HOT and cell.function in NOPS else 1


def order(seed: int, round_number: int) -> list[Cell]:
    """The cells in the random order of one round; the same for the same seed."""
    shuffled = [each for each in cells() for _ in range(times(each))]
    random.Random(f"{seed}/{round_number}").shuffle(shuffled)
    return shuffled


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Recording:
    """Run the experiment and return its record, saved in `folder` after every round.

    The snapshots go to a store of the run's own, which is removed afterwards. Raises SeussError
    when the platform cannot run at all; a single failed invocation is recorded and passed over.
    """
    facts = await environment.collect(plan.settings)
    recording = Recording(facts.to_json(), plan.seed, plan.rounds, plan.quick)
    _look_for_process(recording)
    with own_stores(folder) as stores:
        async with _nodes(plan.settings, stores) as nodes, _others(recording, report) as others:
            for done, node in enumerate(nodes.values()):
                report("taking snapshots", done, len(nodes))
                await node.prepare(recording)
            recording.save(folder)
            answers = {each.name: await asyncio.to_thread(each.expected) for each in ALL}
            under_way = _Run(plan, nodes, others, recording, answers, report)
            for number in range(plan.rounds):
                await under_way.round(number)
                recording.save(folder)
        recording.disk = await _disk_cost(plan, stores / "disk", report)
        recording.save(folder)
    return recording


@contextlib.asynccontextmanager
async def _others(recording: Recording, report: Report) -> AsyncIterator[dict[str, Peer]]:
    """Enter the peers; what cannot run here is recorded with the reason."""
    async with contextlib.AsyncExitStack() as stack:
        entered = {}
        for done, name in enumerate(OTHERS):
            report(f"looking for {name}", done, len(OTHERS))
            peer = line_up.make(name, recording.environment["accelerator"])
            try:
                entered[name] = await stack.enter_async_context(peer)
            except PeerError as error:
                recording.give_up(Cell(NOP.name, name), error.message)
        yield entered


def _look_for_process(recording: Recording) -> None:
    try:
        linux_process.interpreter()
    except PeerError as error:
        for workload in WORKLOADS:
            recording.give_up(Cell(workload.name, PROCESS), error.message)


class _Node:
    """An orchestrator of one isolation, with or without AO, over a store of its own."""

    def __init__(self, settings: Settings, orchestrator: VmDispatcher | UcDispatcher) -> None:
        self.settings = settings
        self._orchestrator = orchestrator

    async def prepare(self, recording: Recording) -> None:
        """Take the base snapshot and each workload's, record their sizes, warm host caches."""
        await self._orchestrator.ensure_base()
        own = [each for each in ALL if each.runtime == self.settings.runtime]
        for workload in own:
            for path in (Path.COLD, Path.WARM):
                await self._orchestrator.invoke(workload.function(), workload.arguments, path)
        await self._orchestrator.flush()
        with SnapshotStore(self.settings.store) as store:
            manifests = store.list()
        names = {workload.function().id: workload.name for workload in own}
        for manifest in manifests:
            recording.sizes.append(
                Size(
                    level=manifest.level.value,
                    function=names.get(manifest.function) if manifest.function else None,
                    ao=self.settings.ao is Anticipation.FULL,
                    stored_pages=manifest.stored_pages,
                    stored_bytes=manifest.stored_bytes,
                    isolation=self.settings.isolation,
                    runtime=self.settings.runtime,
                )
            )

    async def rest(self) -> None:
        """Wait until the pools are full, so that nothing is made while a sample is taken."""
        await self._orchestrator.prepare(self.settings.pool_size)

    async def invoke(self, workload: Workload, path: Path, tag: str) -> Invocation:
        """Invoke once; cold, a variant that nothing has been captured of yet."""
        function = workload.variant(tag) if path is Path.COLD else workload.function()
        invocation = await self._orchestrator.invoke(function, workload.arguments, path)
        # What goes on after a cold answer must not slow the sample that comes next.
        await self._orchestrator.flush()
        return invocation


@contextlib.asynccontextmanager
async def _nodes(settings: Settings, stores: pathlib.Path) -> AsyncIterator[dict[Kind, _Node]]:
    async with contextlib.AsyncExitStack() as stack:
        nodes: dict[Kind, _Node] = {}
        for ao, runtime in ((True, DEFAULT_RUNTIME), (False, DEFAULT_RUNTIME), (True, "js")):
            store = stores / f"vm-{runtime}-{'ao' if ao else 'no-ao'}"
            step = Anticipation.FULL if ao else Anticipation.NONE
            own = replace(settings.for_runtime(runtime), ao=step, store=store)
            machines = await stack.enter_async_context(VmDispatcher(own))
            nodes["vm", ao, runtime] = _Node(own, machines)
        for runtime in (DEFAULT_RUNTIME, "js"):
            own = settings.for_runtime(runtime)
            own = replace(own, ao=Anticipation.FULL, store=stores / f"uc-{runtime}", isolation="uc")
            own = replace(own, memory_mib=max(settings.memory_mib, DEFAULT_MEMORY_MIB["uc"]))
            contexts = await stack.enter_async_context(UcDispatcher(own))
            nodes["uc", True, runtime] = _Node(own, contexts)
        yield nodes


@dataclass(frozen=True)
class _Run:
    """A run under way. `answers` holds each workload's right answer."""

    plan: Plan
    nodes: Mapping[Kind, _Node]
    others: Mapping[str, Peer]
    recording: Recording
    answers: Mapping[str, dict[str, Any]]
    report: Report

    async def round(self, number: int) -> None:
        """Measure every cell, in the order of round `number`."""
        shuffled = order(self.plan.seed, number)
        for place, cell in enumerate(shuffled):
            if self.recording.given_up(cell):
                continue
            done = number * len(shuffled) + place
            self.report(cell.name, done, self.plan.rounds * len(shuffled))
            self.recording.samples.append(await self._sample(cell, number, done))
            self._lose_patience(cell)

    def _lose_patience(self, cell: Cell) -> None:
        errors = [sample.error for sample in self.recording.samples if sample.cell == cell]
        last = errors[-PATIENCE:]
        if len(last) == PATIENCE and all(last):
            self.recording.give_up(cell, f"failed {PATIENCE} times in a row, last: {last[-1]}")

    @staticmethod
    def _ao(cell: Cell, workload: Workload) -> bool:
        # Of another runtime there is no node without AO; booted does not ask for one.
        return bool(cell.ao) or workload.runtime != DEFAULT_RUNTIME

    async def _sample(self, cell: Cell, number: int, done: int) -> Sample:
        workload = next(workload for workload in ALL if workload.name == cell.function)
        blank = Sample(cell, number, done, None)
        try:
            # All of them: one node's pool that fills would slow the sample of another way.
            for each in self.nodes.values():
                await each.rest()
            if cell.path == PROCESS:
                answer = await asyncio.to_thread(
                    linux_process.measure, workload.source, workload.arguments
                )
                if answer.result != self.answers[workload.name]:
                    return replace(blank, error=f"wrong answer: {answer.result}")
                return replace(blank, latency_ms=answer.latency_ms)
            if cell.path in self.others:
                return await self._of_other(self.others[cell.path], workload, blank)
            # Booted starts from nothing, so neither node's base matters to it.
            node = self.nodes[cell.isolation, self._ao(cell, workload), workload.runtime]
            tag = f"{self.plan.seed}/{number}"
            invocation = await node.invoke(workload, Path(cell.path), tag)
        except SeussError as error:
            return replace(blank, error=f"{type(error).__name__}: {error.message}")
        if invocation.error is not None:
            return replace(blank, error=f"{invocation.error.kind}: {invocation.error.message}")
        if invocation.result != self.answers[workload.name]:
            return replace(blank, error=f"wrong answer: {invocation.result}")
        return replace(
            blank,
            latency_ms=invocation.latency_ms,
            phases=invocation.phases.to_json(),
            pooled=invocation.pooled,
            snapshot=invocation.snapshot,
        )

    async def _of_other(self, peer: Peer, workload: Workload, blank: Sample) -> Sample:
        """Start an instance, import the function and call it."""
        began = time.perf_counter()
        instance = await peer.start()
        result = await instance.call(workload.arguments, workload.source)
        latency_ms = (time.perf_counter() - began) * 1000
        await peer.end(instance)
        if result != self.answers[workload.name]:
            return replace(blank, error=f"wrong answer: {result}")
        return replace(blank, latency_ms=latency_ms)


async def _disk_cost(plan: Plan, root: pathlib.Path, report: Report) -> DiskCost:
    """Capture `DISK_FUNCTIONS` different functions and look at what the store occupies."""
    settings = replace(plan.settings, ao=Anticipation.FULL, store=root)
    async with VmDispatcher(settings) as orchestrator:
        await orchestrator.ensure_base()
        base_bytes = occupied(root)
        for number in range(DISK_FUNCTIONS):
            report("capturing functions", number, DISK_FUNCTIONS)
            function = NOP.variant(f"disk {number}")
            invocation = await orchestrator.invoke(function, NOP.arguments, Path.COLD)
            if invocation.error is not None:
                raise SeussError(
                    f"Capturing function {number} of {DISK_FUNCTIONS} failed: "
                    f"{invocation.error.message}. The disk cost cannot be measured."
                )
    with SnapshotStore(root) as store:
        base = sum(item.stored_bytes for item in store.find(level=Level.BASE))
        deltas = [item.stored_bytes for item in store.find(level=Level.FUNCTION)]
    return DiskCost(
        functions=len(deltas),
        base_bytes=base_bytes,
        total_bytes=occupied(root),
        delta_bytes=sum(deltas),
        full_bytes=sum(deltas) + base * len(deltas),
    )


def occupied(root: pathlib.Path) -> int:
    """Bytes of disk that the files below `root` occupy, by allocated blocks; a file counts once."""
    blocks = {}
    for folder, _, names in os.walk(root):
        for name in names:
            facts = os.lstat(os.path.join(folder, name))  # noqa: PTH118
            blocks[facts.st_ino] = facts.st_blocks * 512
    return sum(blocks.values())
