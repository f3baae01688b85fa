"""What the experiments of Micro share: runs of the native load generator, and their record."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from experiments import environment, raw_data
from orchestrator.errors import MicroError, SettingsError
from orchestrator.machines import accelerator
from orchestrator.micro.build import Product, build
from orchestrator.micro.function import RustFunction
from orchestrator.micro.toolchain import RUSTC, Toolchain

FUNCTIONS = environment.CHECKOUT / "micro_worker" / "functions"
LIMIT_S = 300.0
"""Seconds that one run of the load generator may take."""

Parameters = Mapping[str, int | str]
Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Run:
    """One run of the load generator; `result` is None when it failed, and `error` then says why."""

    measurement: str
    way: str
    round: int
    parameters: dict[str, int | str]
    result: dict[str, Any] | None
    error: str | None = None


@dataclass
class MicroRecord:
    """The record of an experiment of Micro: every run with all its samples."""

    experiment: str
    environment: dict[str, Any]
    seed: int
    rounds: int
    runs: list[Run] = field(default_factory=list)

    def results(self, way: str, **parameters: int | str) -> list[dict[str, Any]]:
        """Results of one way, or of those of its runs that had these parameters."""
        return [
            run.result
            for run in self.runs
            if run.way == way
            and run.result is not None
            and all(run.parameters.get(name) == value for name, value in parameters.items())
        ]

    def samples(self, way: str, name: str, **parameters: int | str) -> list[float]:
        """All samples of that name of one way, of all rounds."""
        return [
            float(value) for result in self.results(way, **parameters) for value in result[name]
        ]

    def rates(self, way: str, **parameters: int | str) -> list[float]:
        """Answers per second, by round."""
        return [
            result["answered"] / result["elapsed_ns"] * 1e9
            for result in self.results(way, **parameters)
        ]

    def save(self, folder: pathlib.Path) -> None:
        """Write NAME.json, and NAME.csv with a row for each sample and number."""
        head = ("way", "round", "quantum_ns", "function", "name", "value")
        raw_data.save(folder, self.experiment, asdict(self), head, self._rows())

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for run in self.runs:
            facts = (run.way, run.round, *(run.parameters.get(n) for n in ("quantum_ns", "of")))
            for name, value in (run.result or {}).items():
                for each in value if isinstance(value, list) else [value]:
                    yield (*facts, name, each)

    @classmethod
    def load(cls, experiment: str, folder: pathlib.Path) -> Self:
        """Read a record; OSError or ValueError if it cannot be read or is of another kind."""
        told = raw_data.load(folder, experiment)
        told["runs"] = [Run(**run) for run in told["runs"]]
        return cls(experiment, **told)


FIFO = ("chrt", "--fifo", "1")
"""Puts the load generator, and all that it starts, before everything else on the machine: it is
shared, and what others do is not the subject."""


@functools.cache
def fifo() -> bool:
    """Whether this user may have real-time priority."""
    try:
        return subprocess.run([*FIFO, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@dataclass(frozen=True)
class Plan:
    """What to run: how often, the seed of the order, the cores of load and worker."""

    rounds: int
    seed: int
    quick: bool
    load_core: int
    worker_core: int


def two_cores() -> tuple[int, int]:
    """The cores of the load generator and of the worker. SettingsError where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SettingsError(
            "The load generator and the worker need a core each, and this process may use one. "
            "Give it two."
        )
    return cores[0], cores[-1]


def facts() -> dict[str, Any]:
    """Where and with what a run is made."""
    compiler = subprocess.run(
        [str(RUSTC), "--version"], capture_output=True, text=True, check=False
    )
    clock = pathlib.Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return {
        "accelerator": "none: native code",
        "kernel": platform.release(),
        "cpu": accelerator.cpu_model(),
        "clock source": clock.read_text().strip() if clock.exists() else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": os.getloadavg()[0],
        "priority": "SCHED_FIFO" if fifo() else "usual: others take time from the samples",
        "rustc": compiler.stdout.strip(),
        "python": platform.python_version(),
        "commit": environment.commit(),
        "started": time.time(),
    }


class Generator:
    """Runs the load generator for one experiment."""

    def __init__(self, plan: Plan, toolchain: Toolchain, work: pathlib.Path) -> None:
        self._plan = plan
        self._toolchain = toolchain
        self._work = work

    async def product(self, name: str, product: Product) -> pathlib.Path:
        """Build a sample function."""
        function = RustFunction.from_file(FUNCTIONS / f"{name}.rs")
        return await asyncio.to_thread(build, function, self._toolchain, product)

    async def copies(self, source: pathlib.Path, count: int) -> list[pathlib.Path]:
        """Copy a product, so that no two functions share pages. They go with the experiment."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self._work))
        targets = [folder / f"{number}{source.suffix}" for number in range(count)]
        await asyncio.to_thread(_copy, source, targets)
        return targets

    async def run(
        self,
        measurement: str,
        way: str,
        number: int,
        functions: Sequence[pathlib.Path],
        parameters: Parameters,
        payload: bytes = b"{}",
        of: str = "",
    ) -> Run:
        """Run one measurement. A failure of it is recorded, not raised."""
        plan = self._plan
        names, arguments = self._work / "functions", self._work / "arguments"
        names.write_text("\n".join(map(str, functions)) + "\n", encoding="utf-8")
        arguments.write_bytes(payload)
        command = [str(self._toolchain.load), measurement, "--worker", str(self._toolchain.worker)]
        command += ["--functions", str(names), "--input", str(arguments)]
        command += ["--load-core", str(plan.load_core), "--worker-core", str(plan.worker_core)]
        for name, value in parameters.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        if fifo():
            command = [*FIFO, *command]
        kept = dict(parameters) | ({"of": of} if of else {})
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                said, errors = await process.communicate()
        except TimeoutError:
            return Run(measurement, way, number, kept, None, f"not done after {LIMIT_S:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode != 0:
            error = errors.decode("utf-8", "replace").strip() or f"status {process.returncode}"
            return Run(measurement, way, number, kept, None, error)
        return Run(measurement, way, number, kept, json.loads(said))


def _copy(source: pathlib.Path, targets: Sequence[pathlib.Path]) -> None:
    content = source.read_bytes()
    for target in targets:
        target.write_bytes(content)
        target.chmod(0o755)


@contextlib.contextmanager
def generator(plan: Plan, folder: pathlib.Path) -> Iterator[Generator]:
    """Give a load generator with a working folder that is removed afterwards."""
    toolchain = Toolchain.find()
    work = pathlib.Path(tempfile.mkdtemp(prefix=".micro-", dir=folder.resolve()))
    try:
        yield Generator(plan, toolchain, work)
    except OSError as error:
        raise MicroError(f"{work} cannot be used ({error.strerror}). Free some space.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def problems(record: MicroRecord) -> str:
    """What failed, as a list with how often; empty if nothing did."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for run in record.runs:
        if run.error is not None:
            found.setdefault((run.way, str(run.parameters), run.error), []).append(run.round)
    return "\n".join(
        f"- {way} {parameters}, in {len(rounds)} of {record.rounds} rounds: {error}"
        for (way, parameters, error), rounds in found.items()
    )
