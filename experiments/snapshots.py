"""The snapshots experiment: size, capture and restore time of each level of the lineage.

Answers SEUSS's Table 1 and AO table: base, function and argument snapshots, in both isolations and
both runtimes, in the paper's three steps of anticipatory optimisation (AO): none, network, both.
"""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments import environment
from experiments.measurements import Measurements, Report
from experiments.own_stores import own_stores
from experiments.point_function import expected, point_function
from orchestrator.anticipation import Anticipation
from orchestrator.errors import CaptureError
from orchestrator.function import Function
from orchestrator.invocation import Invocation, InvocationError
from orchestrator.machines import accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine
from orchestrator.paths import Path
from orchestrator.points import split
from orchestrator.rehearsal import REHEARSALS, rehearsal
from orchestrator.runtimes import RUNTIMES, find_runtime
from orchestrator.settings import DEFAULT_MEMORY_MIB, Isolation, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import CapturedContext, UcNode
from orchestrator.vm.capture import capture_full
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.vm.instance import Instance
from orchestrator.vm.restore import Origin, complete, prepare
from orchestrator.wire import SNAPSHOT
from snapshot_store import PAGE_SIZE, SnapshotStore
from snapshot_store.errors import SeussError
from snapshot_store.manifest import STATE_NAME

NAME = "snapshots"
ROUNDS = 10
QUICK_ROUNDS = 2
BASE_PART = 3
"""One round in this many also boots and captures a base: that takes seconds."""
LIMIT_S = 120.0
STEPS = {
    Anticipation.FULL: "AO",
    Anticipation.NETWORK: "network AO",
    Anticipation.NONE: "no AO",
}
"""Labels of the paper's steps of anticipatory optimisation."""
ISOLATIONS: tuple[Isolation, ...] = ("vm", "uc")
NOP_OF = {
    "python": b"def main(args):\n    return {}\n",
    "js": b"function main(args) {\n  return {};\n}\n",
}
COMMON, OWN = 1000, 10
"""Turns before and after the snapshot point."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the nodes, samples per combination, seed of the variants."""

    settings: Settings
    rounds: int
    seed: int


@dataclass(frozen=True)
class Kind:
    """One combination: isolation, runtime, and how far the base is optimised."""

    isolation: Isolation
    runtime: str
    ao: Anticipation

    @property
    def labels(self) -> dict[str, str]:
        """The combination as labels of its measurements."""
        return {"isolation": self.isolation, "runtime": self.runtime, "ao": STEPS[self.ao]}

    @property
    def name(self) -> str:
        """The combination as one phrase."""
        return ", ".join(self.labels.values())


def kinds() -> list[Kind]:
    """Every combination that is measured."""
    return [
        Kind(isolation, runtime, ao)
        for isolation in ISOLATIONS
        for runtime in RUNTIMES
        for ao in STEPS
    ]


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Measurements:
    """Measure every combination and return the record, saved in `folder` after each.

    A combination that cannot run is recorded with its reason. Raises SeussError when there is no
    accelerator or no image of the default runtime.
    """
    facts = await environment.collect(plan.settings)
    record = Measurements(NAME, facts.to_json(), plan.seed, plan.rounds)
    with own_stores(folder) as stores:
        for done, kind in enumerate(kinds()):
            report(kind.name, done, len(kinds()))
            settings = replace(
                plan.settings.for_runtime(kind.runtime),
                isolation=kind.isolation,
                ao=kind.ao,
                store=stores / str(done),
                memory_mib=max(plan.settings.memory_mib, DEFAULT_MEMORY_MIB[kind.isolation]),
                pool_size=1,
            )
            try:
                await (_vm if kind.isolation == "vm" else _uc)(record, kind, settings)
                _sizes(record, kind, settings)
            except SeussError as error:
                record.unavailable[kind.name] = error.message
            record.save(folder)
    return record


def _functions(kind: Kind, tag: str) -> tuple[Function, Function]:
    """Return a new NOP and a new function with a snapshot point."""
    comment = find_runtime(kind.runtime).comment
    code = NOP_OF[kind.runtime] + f"{comment} {tag}\n".encode()
    nop = Function("nop", "source", code, runtime=kind.runtime)
    return nop, point_function(tag, kind.runtime)


def _sizes(record: Measurements, kind: Kind, settings: Settings) -> None:
    with SnapshotStore(settings.store) as store:
        for manifest in store.list():
            # The function with a point is the argument level's parent, not Table 1's NOP.
            if manifest.level.value == "function" and manifest.label != "nop":
                continue
            labels = kind.labels | {"level": manifest.level.value}
            pages = manifest.stored_pages * PAGE_SIZE
            record.add("stored pages", "MB", pages / 1e6, 0, **labels)
            state = manifest.checksums[STATE_NAME].size
            record.add("stored state", "MB", state / 1e6, 0, **labels)


@contextlib.contextmanager
def _timed(
    record: Measurements, metric: str, number: int, labels: dict[str, str]
) -> Iterator[None]:
    started = time.perf_counter()
    yield
    record.add(metric, "ms", (time.perf_counter() - started) * 1000, number, **labels)


async def _vm(record: Measurements, kind: Kind, settings: Settings) -> None:
    async with VmDispatcher(settings) as dispatcher:
        await dispatcher.ensure_base()
        for number in range(record.rounds):
            if number % BASE_PART == 0:
                await _vm_base(record, kind, settings, number)
            nop, point = _functions(kind, f"{record.seed}/{number}")
            await dispatcher.prepare(1)
            cold = _right(await dispatcher.invoke(nop, {}, Path.COLD), {})
            await dispatcher.flush()
            await dispatcher.prepare(1)
            warm = _right(await dispatcher.invoke(nop, {}, Path.WARM), {})
            _phases(record, kind, "function", number, cold, warm)
            args, answer = {"common": COMMON, "own": OWN}, expected(COMMON, OWN)
            _right(await dispatcher.invoke(point, args, Path.COLD), answer)
            await dispatcher.flush()
            await dispatcher.prepare(1)
            taken = _right(await dispatcher.invoke(point, args, Path.AUTO), answer)
            await dispatcher.flush()
            await dispatcher.prepare(1)
            resumed = _right(await dispatcher.invoke(point, args, Path.RESUMED), answer)
            _phases(record, kind, "argument", number, taken, resumed)


def _phases(
    record: Measurements,
    kind: Kind,
    level: str,
    number: int,
    taken: Invocation,
    restored: Invocation,
) -> None:
    labels = kind.labels | {"level": level}
    if taken.phases.capture is not None:
        record.add("capture", "ms", taken.phases.capture, number, **labels)
    if restored.phases.restore is not None:
        record.add("restore", "ms", restored.phases.restore, number, **labels)


async def _vm_base(record: Measurements, kind: Kind, settings: Settings, number: int) -> None:
    """Boot a machine and capture it whole; then restore another from that."""
    chosen = await accelerator.choose(
        settings.accelerator, settings.image.with_name("accelerator-probe.elf")
    )
    hardware = Hardware(chosen, settings.machine, settings.memory_mib, settings.cores)
    labels = kind.labels | {"level": "base"}
    async with Machine(hardware, kernel=settings.image) as machine:
        instance = Instance(machine)
        with _timed(record, "boot", number, labels):
            await instance.synchronise()
            await instance.ready(LIMIT_S)
        if kind.ao is not Anticipation.NONE:
            with _timed(record, "optimise", number, labels):
                await instance.optimise(LIMIT_S, kind.ao)
        if kind.ao is Anticipation.FULL:
            for _ in range(REHEARSALS):
                failure = await instance.load(rehearsal(kind.runtime), LIMIT_S)
                failure = failure or _failure(await instance.invoke({}, LIMIT_S))
                if failure is not None:
                    raise CaptureError(f"The rehearsal failed: {failure.message}")
                await instance.unload(LIMIT_S)
        with _timed(record, "capture", number, labels):
            captured = await capture_full(machine)
    with Origin(captured.blocks, captured.pages, captured.state) as origin:
        async with origin.machine(hardware) as machine:
            await prepare(machine, origin)
            with _timed(record, "restore", number, labels):
                await complete(machine, origin.tail())


async def _uc(record: Measurements, kind: Kind, settings: Settings) -> None:
    async with UcDispatcher(settings) as dispatcher:
        life = await dispatcher.life()
        node = life.node
        for number in range(record.rounds):
            nop, point = _functions(kind, f"{record.seed}/{number}")
            if number % BASE_PART == 0:
                await _uc_base(record, kind, node, number)
            taken = [await _uc_function(record, kind, node, life.base, nop, number)]
            parent = (await _captured_import(node, life.base, point))[0]
            taken += [parent.snapshot, await _uc_argument(record, kind, node, parent, number)]
            for snapshot in reversed(taken):
                await node.evict(snapshot)
        # Once more through the dispatcher, which brings all levels to the store.
        nop, point = _functions(kind, f"{record.seed}/stored")
        _right(await dispatcher.invoke(nop, {}, Path.COLD), {})
        args = {"common": COMMON, "own": OWN}
        _right(await dispatcher.invoke(point, args, Path.RESUMED), expected(COMMON, OWN))
        await dispatcher.flush()


async def _uc_base(record: Measurements, kind: Kind, node: UcNode, number: int) -> None:
    labels = kind.labels | {"level": "base"}
    with _timed(record, "boot", number, labels):
        context = await node.boot()
    if kind.ao is not Anticipation.NONE:
        with _timed(record, "optimise", number, labels):
            await node.optimise(context, kind.ao)
    if kind.ao is Anticipation.FULL:
        for _ in range(REHEARSALS):
            loaded = await node.load(context, rehearsal(kind.runtime), LIMIT_S)
            failure = loaded.error or (await node.invoke(context, b"{}", LIMIT_S)).error
            if failure is not None:
                raise CaptureError(f"The rehearsal failed: {failure.message}")
            await node.unload(context)
    with _timed(record, "capture", number, labels):
        captured = await node.capture(context)
    await node.end(context)
    await _note(record, node, captured, number, labels)
    await node.evict(captured.snapshot)


async def _uc_function(
    record: Measurements, kind: Kind, node: UcNode, base: int, nop: Function, number: int
) -> int:
    labels = kind.labels | {"level": "function"}
    captured, took_ms = await _captured_import(node, base, nop)
    record.add("capture", "ms", took_ms, number, **labels)
    await _note(record, node, captured, number, labels)
    return captured.snapshot


async def _uc_argument(
    record: Measurements, kind: Kind, node: UcNode, parent: CapturedContext, number: int
) -> int:
    """Run the function to its point, where it has itself captured."""
    named = split(point_function(), ("common",), {"common": COMMON, "own": OWN})
    assert named is not None
    begun = await node.begin(SNAPSHOT | parent.snapshot, named.begin, LIMIT_S)
    if begun.captured is None:
        raise CaptureError(f"The function was not captured at its point: {begun.answer}")
    captured = node.captured(begun.captured)
    await node.end(begun.context)
    await _note(record, node, captured, number, kind.labels | {"level": "argument"})
    return captured.snapshot


async def _captured_import(
    node: UcNode, base: int, function: Function
) -> tuple[CapturedContext, float]:
    """Import a function and capture it; return the snapshot and the milliseconds it took."""
    loaded = await node.load(SNAPSHOT | base, function, LIMIT_S)
    if loaded.error is not None:
        raise CaptureError(f"{function.name} cannot be imported: {loaded.error.message}")
    started = time.perf_counter()
    captured = await node.capture(loaded.context)
    took_ms = (time.perf_counter() - started) * 1000
    await node.end(loaded.context)
    return captured, took_ms


async def _note(
    record: Measurements,
    node: UcNode,
    captured: CapturedContext,
    number: int,
    labels: dict[str, str],
) -> None:
    """Record what the guest says of a capture, and deploy from it once."""
    record.add("capture, guest", "us", captured.ns / 1e3, number, **labels)
    record.add("own pages", "MB", captured.pages * PAGE_SIZE / 1e6, number, **labels)
    with _timed(record, "restore", number, labels):
        deployed = await node.deploy(captured.snapshot)
    if isinstance(deployed, InvocationError):
        raise CaptureError(f"A snapshot cannot be deployed: {deployed.message}")
    record.add("restore, guest", "us", deployed[1] / 1e3, number, **labels)
    await node.end(deployed[0])


def _right(invocation: Invocation, expected_result: dict[str, int]) -> Invocation:
    if invocation.result != expected_result:
        raise CaptureError(f"The answer is wrong: {invocation.error or invocation.result}")
    return invocation


def _failure(outcome: object) -> InvocationError | None:
    return outcome if isinstance(outcome, InvocationError) else None
