"""The burst experiment: a steady background, and every few seconds many calls of a new function.

Answers SEUSS's Figures 6 to 8. The background calls a few known functions at a fixed rate. Each
burst is concurrent calls of one function that nobody has seen, CPU-bound and IO-bound in turn; the
IO-bound call a local server that answers late. Every call is made when it is due, whether or not
others were answered, and its latency counts from then. A SEUSS node of contexts stands against
container pools of the same memory, each with the known functions called once before.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from experiments import environment, raw_data
from experiments.burst_calls import CPU, KINDS, TURNS, Calls, Outcome, Scale, known, schedule
from experiments.late_server import late_server
from experiments.own_stores import own_stores
from experiments.systems import SEUSS, SYSTEMS, node_settings, open_pools, seuss
from orchestrator.settings import Settings

NAME = "burst"
DELAY_S = 0.25
"""After which the server answers."""
GUEST_VIEW = "10.0.2.2"
"""This machine's loopback, as guests on a user-mode network see it."""
HOST_VIEW = "127.0.0.1"

SCALES: Mapping[str, Scale] = {
    "quick": Scale((4, 2, 1), 2, 16, 32, 8.0, 4, 1.0, 2.0, 7.5, 512),
    "default": Scale((8, 4, 2), 4, 32, 64, 8.0, 4, 2.0, 2.0, 15.0, 512),
    "full": Scale((32, 16, 8), 20, 128, 256, 8.0, 4, 90.0, 60.0, 60.0, 2048),
}
"""`full` has the paper's intervals and the sizes of its authors' scripts; `default` a quarter and
`quick` an eighth of intervals, calls and deadline, and fewer bursts."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the node, size, seed of the order."""

    settings: Settings
    scale: Scale
    seed: int


@dataclass(frozen=True)
class Timeline:
    """All calls of one system at one interval, in the order they were due."""

    system: str
    interval_s: float
    outcomes: list[Outcome]

    def bursts(self, kind: str | None = None) -> list[Outcome]:
        """Return the bursts' calls, of one kind or of both."""
        return [
            each for each in self.outcomes if each.burst is not None and kind in (None, each.kind)
        ]

    def background(self, kind: str | None = None) -> list[Outcome]:
        """Return the background's calls, of one kind or of both."""
        return [each for each in self.outcomes if each.burst is None and kind in (None, each.kind)]


@dataclass
class Burst:
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
    timelines: list[Timeline] = field(default_factory=list)

    def of(self, system: str, interval_s: float) -> Timeline | None:
        """Return a system's timeline at that interval, if it was measured."""
        for each in self.timelines:
            if (each.system, each.interval_s) == (system, interval_s):
                return each
        return None

    def save(self, folder: pathlib.Path) -> None:
        """Write burst.json and burst.csv, a row per call."""
        head = ("system", "interval_s", "due_s", "kind", "burst", "latency_ms", "path", "error")
        rows = (
            (timeline.system, timeline.interval_s, *asdict(each).values())
            for timeline in self.timelines
            for each in timeline.outcomes
        )
        raw_data.save(folder, NAME, asdict(self), head, rows)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """Read burst.json of a results folder; OSError or ValueError if it is not one."""
        record = raw_data.load(folder, NAME)
        scale = record["scale"]
        record["scale"] = Scale(**(scale | {"intervals": tuple(scale["intervals"])}))
        record["timelines"] = [
            Timeline(**(told | {"outcomes": [Outcome(**each) for each in told["outcomes"]]}))
            for told in record["timelines"]
        ]
        return cls(**record)


def order(scale: Scale, seed: int) -> list[tuple[str, float]]:
    """Systems and intervals in the random order of a run."""
    shuffled = [(system, interval) for system in SYSTEMS for interval in scale.intervals]
    random.Random(seed).shuffle(shuffled)
    return shuffled


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Burst:
    """Run the experiment and return its record, saved in `folder` after every timeline.

    A pool that cannot run here is recorded with the reason. Raises SeussError when SEUSS cannot.
    """
    scale = plan.scale
    node = node_settings(plan.settings, scale.memory_mib)
    facts = await environment.collect(node)
    record = Burst(facts.to_json(), plan.seed, scale, node.memory_mib)
    state = await asyncio.to_thread(replace(KINDS[CPU], arguments={"turns": TURNS}).expected)
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(own_stores(folder))
        settings = replace(node, store=store, network=True)
        port = await stack.enter_async_context(late_server(DELAY_S))
        pools = await open_pools(stack, node.memory_mib, report, network=True)
        record.containers, record.container_bytes = pools.containers, pools.container_bytes
        record.unavailable = pools.unavailable
        trials = order(scale, plan.seed)
        for done, (system, interval) in enumerate(trials):
            if system in record.unavailable:
                continue
            report(f"{system}, every {interval:g} s", done, len(trials))
            host = GUEST_VIEW if system == SEUSS else HOST_VIEW
            place, seed = f"{GUEST_VIEW}:{port}", f"{plan.seed}/{system}/{interval}"
            calls = Calls(f"{host}:{port}", place, seed, state)
            async with seuss(settings) if system == SEUSS else pools.node(system) as call:
                await calls.drive(call, known(scale), scale.deadline_s)
                outcomes = await calls.drive(call, schedule(scale, interval), scale.deadline_s)
            record.timelines.append(Timeline(system, interval, outcomes))
            record.save(folder)
    return record
