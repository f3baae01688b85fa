"""The sharing experiment: which pages contexts share along the lineage, and which become theirs.

Pages owned and inherited by each level, memory against the number of captured functions, and page
faults by kind per invocation: all by the kernel's own counters (STATUS and LIST) in one node.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
from dataclasses import dataclass, replace
from typing import Any

from experiments import environment
from experiments.measurements import Measurements, Report
from experiments.own_stores import own_stores
from experiments.point_function import expected, point_function
from experiments.workloads import WORKLOADS, Workload
from orchestrator.errors import CaptureError
from orchestrator.function import Function
from orchestrator.points import split
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.multiplexer import Reply
from orchestrator.uc.node import CapturedContext, UcNode
from orchestrator.wire import SNAPSHOT, Frame
from snapshot_store import PAGE_SIZE

NAME = "sharing"
ROUNDS = 5
QUICK_ROUNDS = 1
FUNCTIONS = 400
QUICK_FUNCTIONS = 80
STEPS = 8
"""Looks at the node's memory while functions are added."""
LIMIT_S = 120.0
SETTLED_S = 0.05
COMMON, OWN = 20_000, 1000
"""Turns of the function with a snapshot point, before and after it."""
FAULTS = ("demand_zero", "file_fill", "native_copy", "snapshot_copy", "ownership", "protection")
"""Kinds of page faults, as the kernel counts them."""
GROWN = tuple(each for each in WORKLOADS if each.name in ("nop", "imports"))
"""Functions whose variants fill the node."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the node, samples per path, functions captured, seed."""

    settings: Settings
    rounds: int
    functions: int
    seed: int


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Measurements:
    """Measure in one node and return the record, saved in `folder` after each part.

    Raises SeussError when the node or a function fails.
    """
    facts = await environment.collect(plan.settings)
    record = Measurements(NAME, facts.to_json(), plan.seed, plan.rounds)
    answers = {each.name: await asyncio.to_thread(each.expected) for each in WORKLOADS}
    with own_stores(folder) as stores:
        settings = replace(
            plan.settings,
            isolation="uc",
            memory_mib=max(plan.settings.memory_mib, DEFAULT_MEMORY_MIB["uc"]),
            store=stores,
        )
        async with UcDispatcher(settings) as dispatcher:
            life = await dispatcher.life()
            bench = _Bench(life.node, life.base, record)
            steps = plan.rounds * (len(WORKLOADS) + 1) + len(GROWN) * plan.functions
            done = 0
            for number in range(plan.rounds):
                for workload in WORKLOADS:
                    report(f"faults of {workload.name}", done, steps)
                    await bench.paths(workload, answers[workload.name], number, plan.seed)
                    done += 1
                report("faults at a snapshot point", done, steps)
                await bench.point(number, plan.seed)
                done += 1
                record.save(folder)
            for workload in GROWN:
                report(f"memory of {workload.name}", done, steps)
                await bench.grow(workload, plan.functions, plan.seed)
                done += plan.functions
                record.save(folder)
    return record


@dataclass(frozen=True)
class _Bench:
    node: UcNode
    base: int
    record: Measurements

    async def paths(self, workload: Workload, answer: object, number: int, seed: int) -> None:
        """Count what a cold, a warm and a hot invocation of a new variant take."""
        arguments = json.dumps(workload.arguments).encode()
        function = workload.variant(f"{seed}/{number}")
        name = workload.name
        # A first hot request may meet pages that the warm one left: so it is asked twice.
        loaded = self._good(await self.node.load(SNAPSHOT | self.base, function, LIMIT_S))
        captured = await self.node.capture(loaded.context)
        ran = await self.node.invoke(loaded.context, arguments, LIMIT_S)
        self._right(ran, answer)
        await self._count(loaded.context, name, "cold", number)
        await self.node.end(loaded.context)
        await self._idle(captured.snapshot, name, number)

        ran = await self.node.invoke(SNAPSHOT | captured.snapshot, arguments, LIMIT_S)
        self._right(ran, answer)
        before = await self._count(ran.context, name, "warm", number)
        self._right(await self.node.invoke(ran.context, arguments, LIMIT_S), answer)
        await self._count(ran.context, name, "hot", number, before)
        await self.node.end(ran.context)
        await self._lineage(captured, name, number)
        await self.node.evict(captured.snapshot)

    async def point(self, number: int, seed: int) -> None:
        """Count what the function with a snapshot point takes, warm and resumed."""
        function = point_function(f"{seed}/{number}")
        args = {"common": COMMON, "own": OWN}
        named = split(function, ("common",), args)
        assert named is not None
        parent = await self._function(function)
        ran = await self.node.invoke(SNAPSHOT | parent.snapshot, json.dumps(args).encode(), LIMIT_S)
        self._right(ran, expected(COMMON, OWN))
        await self._count(ran.context, "point", "warm", number)
        await self.node.end(ran.context)
        begun = self._good(await self.node.begin(SNAPSHOT | parent.snapshot, named.begin, LIMIT_S))
        if begun.captured is None:
            raise CaptureError("The function was not captured at its snapshot point.")
        captured = self.node.captured(begun.captured)
        await self.node.end(begun.context)
        resumed = await self.node.rest(SNAPSHOT | captured.snapshot, named.rest, LIMIT_S)
        self._right(resumed, expected(COMMON, OWN))
        await self._count(resumed.context, "point", "resumed", number)
        await self.node.end(resumed.context)
        await self._lineage(captured, "point", number)
        await self.node.evict(captured.snapshot)
        await self.node.evict(parent.snapshot)

    async def grow(self, workload: Workload, most: int, seed: int) -> None:
        """Capture variants of a function and look at the node's free memory now and then."""
        before = await self._settled()
        snapshots: list[int] = []
        try:
            for number in range(most):
                captured = await self._function(workload.variant(f"{seed}/grow/{number}"))
                snapshots.append(captured.snapshot)
                if len(snapshots) % max(1, most // STEPS) == 0:
                    used = (before - await self._settled()) * PAGE_SIZE / 1e6
                    self.record.add(
                        *("memory of functions", "MB", used, 0),
                        function=workload.name,
                        functions=str(len(snapshots)),
                    )
        finally:
            for snapshot in snapshots:
                await self.node.evict(snapshot)

    async def _function(self, function: Function) -> CapturedContext:
        loaded = self._good(await self.node.load(SNAPSHOT | self.base, function, LIMIT_S))
        captured = await self.node.capture(loaded.context)
        await self.node.end(loaded.context)
        return captured

    async def _idle(self, snapshot: int, name: str, number: int) -> None:
        """Count what a context takes that was deployed and has served nothing."""
        deployed = await self.node.deploy(snapshot)
        if not isinstance(deployed, tuple):
            raise CaptureError(f"A snapshot cannot be deployed: {deployed.message}")
        await self._count(deployed[0], name, "idle", number)
        await self.node.end(deployed[0])

    async def _count(
        self,
        context: int,
        function: str,
        path: str,
        number: int,
        before: dict[str, int] | None = None,
    ) -> dict[str, int]:
        """Record a context's faults and frames, or what came to them since `before`."""
        await asyncio.sleep(SETTLED_S)
        entry = _entry((await self.node.list())["contexts"], context)
        counts = {name: int(entry[name]) for name in (*FAULTS, "owned_frames", "tables")}
        labels = {"function": function, "path": path}
        for kind in FAULTS:
            value = counts[kind] - (before[kind] if before else 0)
            self.record.add("faults", "count", value, number, **labels, kind=kind)
        for kind in ("owned_frames", "tables"):
            self.record.add("context", "frames", counts[kind], number, **labels, kind=kind)
        return counts

    async def _lineage(self, captured: CapturedContext, function: str, number: int) -> None:
        """Record the own pages of each snapshot from the base to this one."""
        listed = {int(each["id"]): each for each in (await self.node.list())["snapshots"]}
        chain = []
        snapshot = captured.snapshot
        while snapshot:
            chain.append(int(listed[snapshot]["pages"]))
            snapshot = int(listed[snapshot]["parent"])
        for level, pages in zip(("base", "function", "argument"), reversed(chain), strict=False):
            self.record.add("own pages", "pages", pages, number, function=function, level=level)

    async def _settled(self) -> int:
        """Return the free frames once they no longer change."""
        free, last = await self.node.free_frames(), -1
        while free != last:
            await asyncio.sleep(SETTLED_S)
            free, last = await self.node.free_frames(), free
        return free

    def _good(self, reply: Reply) -> Reply:
        if reply.error is not None:
            raise CaptureError(f"A function failed: {reply.error.kind}: {reply.error.message}")
        return reply

    def _right(self, reply: Reply, answer: object) -> None:
        found = self._good(reply).answer
        if not isinstance(found, Frame) or found.json() != answer:
            raise CaptureError(f"The answer is wrong: {found}")


def _entry(contexts: list[dict[str, Any]], context: int) -> dict[str, Any]:
    for entry in contexts:
        if entry["id"] == context:
            return entry
    raise CaptureError(f"The node does not list its context {context}.")
