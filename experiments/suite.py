"""The whole suite into one folder: each experiment in turn, at a scale, resumed where it stopped.

An experiment works in a folder of its own inside, and its files move over when it is done, the raw
data last: so NAME.json in the results folder means that the experiment is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from experiments import (
    arguments,
    burst,
    cores,
    crowds,
    density,
    dirty_tracking,
    environment,
    latency,
    micro_latency,
    micro_preemption,
    network_throughput,
    sharing,
    snapshots,
    throughput,
)
from experiments.micro_runs import Plan as MicroPlan
from experiments.micro_runs import two_cores
from experiments.raw_data import write_whole
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from snapshot_store.errors import SeussError

STATE = "suite.json"
WORK = ".under-way"
FORMAT = 1


class SuiteError(SeussError):
    """A results folder cannot take the suite that was asked for."""


class Scale(StrEnum):
    """How much is measured."""

    QUICK = "quick"
    """Ends within 10 minutes on two cores without KVM."""
    DEFAULT = "default"
    """Ends within 45 minutes."""
    FULL = "full"
    """As long as it takes."""

    def of(self, quick: int, default: int, full: int) -> int:
        """Choose by the scale."""
        return {Scale.QUICK: quick, Scale.DEFAULT: default, Scale.FULL: full}[self]


@dataclass
class State:
    """What the suite keeps of itself in a results folder. Times are Unix seconds."""

    scale: str
    seed: int
    commit: str
    started: float
    finished: float | None = None
    failures: dict[str, str] = field(default_factory=dict)
    """Experiments that could not run here, with the reason."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each experiment took."""

    def save(self, folder: pathlib.Path) -> None:
        """Write suite.json."""
        text = json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n"
        write_whole(folder / STATE, text)

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """Read suite.json; OSError, ValueError or TypeError if it cannot be read."""
        told = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if not isinstance(told, dict) or told.pop("format", None) != FORMAT:
            raise ValueError(f"this is no state of a suite in format {FORMAT}")
        return cls(**told)


Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Order:
    """What an experiment of the suite is started with."""

    settings: Settings
    scale: Scale
    seed: int
    folder: pathlib.Path
    report: Report

    @property
    def node(self) -> Settings:
        """The settings for a node of contexts."""
        memory = max(self.settings.memory_mib, DEFAULT_MEMORY_MIB["uc"])
        return replace(self.settings, isolation="uc", memory_mib=memory)

    def micro(self, quick: int, default: int, full: int) -> MicroPlan:
        """The plan of an experiment of Micro with so many rounds."""
        load, worker = two_cores()
        quick_run = self.scale is not Scale.FULL
        return MicroPlan(self.scale.of(quick, default, full), self.seed, quick_run, load, worker)


async def _snapshots(order: Order) -> object:
    plan = snapshots.Plan(order.settings, order.scale.of(1, 6, 30), order.seed)
    return await snapshots.run(plan, order.folder, order.report)


async def _latency(order: Order) -> object:
    rounds = order.scale.of(3, 10, 30)
    plan = latency.Plan(order.settings, rounds, order.scale is not Scale.FULL, order.seed)
    return await latency.run(plan, order.folder, order.report)


async def _density(order: Order) -> object:
    memory = order.scale.of(1024, 2048, 4096)
    others = crowds.SIZES[order.scale.value]
    plan = density.Plan(replace(order.node, memory_mib=memory), 0, order.seed, others)
    return await density.run(plan, order.folder, order.report)


async def _sharing(order: Order) -> object:
    rounds, functions = order.scale.of(1, 5, 20), order.scale.of(80, 400, 400)
    plan = sharing.Plan(order.settings, rounds, functions, order.seed)
    return await sharing.run(plan, order.folder, order.report)


async def _arguments(order: Order) -> object:
    plan = arguments.Plan(order.settings, order.scale.of(3, 12, 40), order.seed)
    return await arguments.run(plan, order.folder, order.report)


async def _dirty_tracking(order: Order) -> object:
    plan = dirty_tracking.Plan(order.settings, order.scale.of(1, 3, 10))
    return await dirty_tracking.run(plan, order.folder, order.report)


async def _cores(order: Order) -> object:
    plan = cores.Plan(order.settings, order.scale.of(2, 8, 24), order.seed)
    return await cores.run(plan, order.folder, order.report)


async def _throughput(order: Order) -> object:
    scale = throughput.SCALES[order.scale.value]
    plan = throughput.Plan(order.settings, scale, order.seed)
    return await throughput.run(plan, order.folder, order.report)


async def _burst(order: Order) -> object:
    plan = burst.Plan(order.settings, burst.SCALES[order.scale.value], order.seed)
    return await burst.run(plan, order.folder, order.report)


async def _network_throughput(order: Order) -> object:
    plan = network_throughput.Plan(order.settings, order.scale.of(3, 8, 30), order.seed)
    return await network_throughput.run(plan, order.folder, order.report)


async def _micro_latency(order: Order) -> object:
    return await micro_latency.run(order.micro(1, 5, 10), order.folder, order.report)


async def _micro_preemption(order: Order) -> object:
    return await micro_preemption.run(order.micro(1, 5, 10), order.folder, order.report)


@dataclass(frozen=True)
class Step:
    """One experiment of the suite, by the name of its raw data."""

    name: str
    run: Callable[[Order], Awaitable[object]]


STEPS = (
    Step(snapshots.NAME, _snapshots),
    Step("latency", _latency),
    Step("density", _density),
    Step(sharing.NAME, _sharing),
    Step(arguments.NAME, _arguments),
    Step("dirty-tracking", _dirty_tracking),
    Step("cores", _cores),
    Step(throughput.NAME, _throughput),
    Step(burst.NAME, _burst),
    Step(network_throughput.NAME, _network_throughput),
    Step(micro_latency.NAME, _micro_latency),
    Step(micro_preemption.NAME, _micro_preemption),
)


def choose_folder(results: pathlib.Path, scale: Scale) -> pathlib.Path:
    """Return the newest folder whose suite of that scale and commit was cut off, or a new one."""
    for state in sorted(results.glob(f"*/{STATE}"), reverse=True):
        try:
            found = State.load(state.parent)
        except (OSError, ValueError, TypeError):
            continue
        same = (found.scale, found.commit) == (scale.value, environment.commit())
        if same and found.finished is None:
            return state.parent
    return results / time.strftime("%Y-%m-%dT%H-%M-%S")


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Make a results folder and keep other suites out of it; SuiteError if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SuiteError(
            f"{folder} cannot be made ({error.strerror}). Name another folder by --out."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise SuiteError(
            f"Another suite is at work in {folder}. Wait for its end: two at a time would measure "
            "each other."
        ) from error
    finally:
        os.close(lock)


def begin(folder: pathlib.Path, scale: Scale, seed: int | None) -> State:
    """Return the state of the suite in a folder: the one it holds, or a new one.

    Args:
        folder: the results folder.
        scale: how much is measured.
        seed: of what is random; None takes the folder's, or a random one.

    Raises SuiteError where the folder's results are of another scale, commit or seed, or of no
    suite: results of one folder must have been made alike.
    """
    try:
        state = State.load(folder)
    except FileNotFoundError:
        return _new(folder, scale, seed)
    except (OSError, ValueError, TypeError) as error:
        raise SuiteError(
            f"{folder / STATE} is not readable ({error}). Name another folder by --out."
        ) from error
    asked = {"scale": scale.value, "commit": environment.commit(), "seed": seed}
    for what, wanted in asked.items():
        if wanted is not None and wanted != getattr(state, what):
            raise SuiteError(
                f"{folder} holds results of {what} {getattr(state, what)}, and {wanted} was asked "
                "for. Name another folder by --out."
            )
    return state


def _new(folder: pathlib.Path, scale: Scale, seed: int | None) -> State:
    for step in STEPS:
        if (folder / f"{step.name}.json").exists():
            raise SuiteError(
                f"{folder} holds results that are of no suite ({step.name}.json). Name another "
                "folder by --out."
            )
    seed = secrets.randbelow(2**31) if seed is None else seed
    state = State(scale.value, seed, environment.commit(), time.time())
    state.save(folder)
    return state


async def run(
    folder: pathlib.Path,
    state: State,
    settings: Settings,
    report_of: Callable[[str], Report],
    steps: Sequence[Step] = STEPS,
) -> None:
    """Run what the folder does not hold yet; an experiment that fails is noted and passed over.

    Args:
        folder: the results folder.
        state: of the suite there, as `begin` returns it.
        settings: of the nodes.
        report_of: makes what an experiment of that name tells its progress to.
        steps: the experiments, in order.
    """
    for step in steps:
        if (folder / f"{step.name}.json").exists():
            continue
        work = folder / WORK / step.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        order = Order(settings, Scale(state.scale), state.seed, work, report_of(step.name))
        state.failures.pop(step.name, None)
        began = time.monotonic()
        try:
            await step.run(order)
        except SeussError as error:
            state.failures[step.name] = error.message
            state.save(folder)
            continue
        state.seconds[step.name] = time.monotonic() - began
        state.save(folder)
        _move(work, folder, step.name)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    state.finished = time.time()
    state.save(folder)


def _move(work: pathlib.Path, folder: pathlib.Path, name: str) -> None:
    """Move an experiment's files over, the one last that says that it is done."""
    raw = f"{name}.json"
    files = [path for path in sorted(work.iterdir()) if path.is_file() and path.name != raw]
    for path in (*files, work / raw):
        os.replace(path, folder / path.name)  # noqa: PTH105


def told(folder: pathlib.Path) -> dict[str, Any] | None:
    """Return what the folder's suite keeps of itself, or None where there is no suite."""
    try:
        return asdict(State.load(folder))
    except (OSError, ValueError, TypeError):
        return None
