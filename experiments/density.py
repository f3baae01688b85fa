"""The density experiment: idle contexts of one function until a node's memory is used.

Answers SEUSS's Table 3 (cache density and creation rate). Contexts (UCs) are deployed from NOP's
function snapshot; then a random 1 % of them must answer. Crowds of other systems' instances follow.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from experiments import crowds, environment, raw_data
from experiments.crowds import Crowd
from experiments.peers.peer import page_tables, proportional_set
from experiments.workloads import NOP
from orchestrator.errors import CaptureError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.machines.command_line import MIB
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import UcNode
from orchestrator.wire import SNAPSHOT, Frame
from snapshot_store.pageset import PAGE_SIZE

NAME = "density"
IN_FLIGHT = 32
"""Deploys asked for before the first is answered: the node never waits for the host."""
STEP = 256
"""UCs between two looks at the node's memory."""
SPARE_PART = 50
"""One part in this many of the memory is left free, for the requests that follow."""
LEAST_SPARE = 2048
"""Frames left free in the smallest node; 1024 of them the kernel keeps for itself."""
ANSWERED_PART = 100
"""One UC in this many answers a request."""
LIMIT_S = 60.0
SETTLED_S = 0.1
SIZES_MB = (2, 200)
SIZED_DEPLOYS = 200
LEAST_FOR_SIZES = 1024
"""MiB of a node in which one context may own the larger of the sizes."""
GUESSED_FRAMES = 50
"""What one UC may take at most, when it is chosen how many are begun before all must be idle."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the node, most UCs (0: no bound), seed of the choice of UCs."""

    settings: Settings
    most: int
    seed: int
    others: crowds.Sizes
    """Instances of other systems."""


@dataclass(frozen=True)
class Point:
    """The node while it fills: UCs there, seconds since the first was asked for, free frames."""

    contexts: int
    seconds: float
    free_frames: int


@dataclass
class Density:
    """The record of a run."""

    environment: dict[str, Any]
    seed: int
    node_mib: int
    sized: dict[str, list[int]] = field(default_factory=dict)
    """Guest time in ns of deploys from snapshots with so many megabytes of data, by megabytes."""
    free_before: int = 0
    """Free frames of 4 KiB with the function's snapshot taken and no UC."""
    free_after: int = 0
    """Free frames when all UCs are idle."""
    points: list[Point] = field(default_factory=list)
    deploy_ns: list[int] = field(default_factory=list)
    """Guest time of each deploy, by the guest's clock."""
    stopped_by: str = ""
    asked: int = 0
    """UCs that got a request at the end."""
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    free_end: int = 0
    """Free frames when those had answered, had they all stayed."""
    node_bytes: int = 0
    """What the host keeps for the node with all UCs idle: QEMU's PSS and page tables."""
    crowds: list[Crowd] = field(default_factory=list)
    """Other systems' instances."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Systems that cannot run here, with the reason."""

    @property
    def contexts(self) -> int:
        """Idle UCs created."""
        return self.points[-1].contexts if self.points else 0

    @property
    def frames_each(self) -> float | None:
        """Frames that one idle UC takes of the node, with all that the kernel keeps for it."""
        if not self.contexts:
            return None
        return (self.free_before - self.free_after) / self.contexts

    @property
    def rate(self) -> float | None:
        """UCs created per second, until they all were idle."""
        return self.contexts / self.points[-1].seconds if self.contexts else None

    @property
    def per_gib(self) -> float | None:
        """Idle UCs per GiB of the host's memory, all of the node counted."""
        return self.contexts * 2**30 / self.node_bytes if self.node_bytes else None

    def crowd(self, system: str) -> Crowd | None:
        """Return another system's instances, if there were any."""
        return next((each for each in self.crowds if each.system == system), None)

    def save(self, folder: pathlib.Path) -> None:
        """Write density.json and density.csv."""
        head = ("contexts", "seconds", "free_frames")
        rows = ((each.contexts, f"{each.seconds:.3f}", each.free_frames) for each in self.points)
        raw_data.save(folder, NAME, asdict(self), head, rows)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """Read density.json of a results folder; OSError or ValueError if it cannot be read."""
        record = raw_data.load(folder, NAME)
        record["points"] = [Point(**point) for point in record["points"]]
        record["crowds"] = [Crowd(**crowd) for crowd in record.get("crowds", [])]
        return cls(**record)


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Density:
    """Fill a node, have some UCs answer, and return the record, saved in `folder`.

    Then create the others' instances; a system that cannot run here is recorded with the reason.
    Raises SeussError when the node cannot be started or ends.
    """
    facts = await environment.collect(plan.settings)
    record = Density(facts.to_json(), plan.seed, plan.settings.memory_mib)
    async with UcDispatcher(plan.settings) as dispatcher:
        life = await dispatcher.life()
        node = life.node
        await _deploy_by_size(node, life.base, record, report)
        snapshot = await _function_snapshot(node, life.base, NOP.function())
        record.free_before = await _settled(node)
        contexts = await fill(node, snapshot, plan.most, record, report)
        pid = node.machine.pid
        record.node_bytes = await asyncio.to_thread(proportional_set, pid) + page_tables(pid)
        record.save(folder)
        chosen = random.Random(plan.seed).sample(
            contexts, min(len(contexts), max(1, len(contexts) // ANSWERED_PART))
        )
        record.free_end = record.free_after
        for done, context in enumerate(chosen):
            report("asking", done, len(chosen))
            free = await node.free_frames()
            record.asked += 1
            reply = await node.invoke(context, json.dumps(NOP.arguments).encode(), LIMIT_S)
            if isinstance(reply.answer, Frame) and reply.answer.json() == NOP.expected():
                record.right += 1
            else:
                record.wrong.append(f"context {context}: {reply.answer}")
            record.free_end -= free - await node.free_frames()
            # An answer takes the frames of some idle UCs: the next one needs them.
            await node.end(context)
    record.save(folder)
    accelerator = record.environment["accelerator"]
    gathering = crowds.gather(plan.settings, plan.others, accelerator, folder, report)
    async for system, found in gathering:
        if isinstance(found, Crowd):
            record.crowds.append(found)
            record.wrong += found.wrong
        else:
            record.unavailable[system] = found
        record.save(folder)
    return record


async def _deploy_by_size(node: UcNode, base: int, record: Density, report: Report) -> None:
    """Deploy from a small and a large snapshot by turns; does nothing on a node too small."""
    if node.hardware.memory < LEAST_FOR_SIZES * MIB:
        return
    snapshots = {}
    for megabytes in SIZES_MB:
        code = f"DATA = b'x' * {megabytes * 10**6}\ndef main(args): return {{}}\n"
        function = Function(f"{megabytes} MB", "source", code.encode())
        snapshots[megabytes] = await _function_snapshot(node, base, function)
        record.sized[str(megabytes)] = []
    for number in range(SIZED_DEPLOYS):
        report("deploying by size", number, SIZED_DEPLOYS)
        for megabytes, snapshot in snapshots.items():
            deployed = await node.deploy(snapshot)
            if isinstance(deployed, InvocationError):
                raise CaptureError(f"{megabytes} MB cannot be deployed: {deployed.message}")
            record.sized[str(megabytes)].append(deployed[1])
            await node.end(deployed[0])
    for snapshot in snapshots.values():
        await node.evict(snapshot)


async def _function_snapshot(node: UcNode, base: int, function: Function) -> int:
    """Import a function and capture it; nothing else of it stays."""
    loaded = await node.load(SNAPSHOT | base, function, LIMIT_S)
    if loaded.error is not None:
        raise CaptureError(f"{function.name} cannot be imported: {loaded.error.message}")
    captured = await node.capture(loaded.context)
    await node.end(loaded.context)
    return captured.snapshot


async def fill(
    node: UcNode, snapshot: int, most: int, record: Density, report: Report
) -> list[int]:
    """Deploy UCs until `most` are there or only the spare memory is left, and all are idle."""
    contexts: list[int] = []
    total = node.hardware.memory // PAGE_SIZE
    spare = max(total // SPARE_PART, LEAST_SPARE)
    free = record.free_before
    started = time.monotonic()
    while not record.stopped_by:
        # A UC is deployed long before it has taken its frames, so what is free while some start
        # says nothing: as many are begun as surely fit, and then all of them must be idle.
        fit = max(1, (free - spare) // GUESSED_FRAMES)
        fit = min(fit, most - len(contexts)) if most else fit
        refusals: list[str] = []
        while fit and not refusals:
            wave = min(STEP, fit)
            fit -= wave
            refusals = await _wave(node, snapshot, wave, contexts, record)
            free = await (node.free_frames() if fit and not refusals else _settled(node))
            record.points.append(Point(len(contexts), time.monotonic() - started, free))
            report("creating contexts", total - free, total)
        if refusals:
            record.stopped_by = refusals[0]
        elif free <= spare:
            record.stopped_by = f"{spare} frames left, kept for requests"
        elif len(contexts) == most:
            record.stopped_by = "as many as asked for"
    record.free_after = free
    return contexts


async def _wave(
    node: UcNode, snapshot: int, count: int, contexts: list[int], record: Density
) -> list[str]:
    """Deploy `count` UCs, many at a time; return what was said to those that were refused."""
    left = iter(range(count))
    refusals: list[str] = []

    async def deploy() -> None:
        for _ in left:
            deployed = await node.deploy(snapshot)
            if isinstance(deployed, InvocationError):
                refusals.append(f"{deployed.kind}: {deployed.message}")
                return
            contexts.append(deployed[0])
            record.deploy_ns.append(deployed[1])

    await asyncio.gather(*(deploy() for _ in range(IN_FLIGHT)))
    return refusals


async def _settled(node: UcNode) -> int:
    """Return the free frames once they no longer change: UCs that were begun are idle."""
    free, last = await node.free_frames(), -1
    while free != last:
        await asyncio.sleep(SETTLED_S)
        free, last = await node.free_frames(), free
    return free
