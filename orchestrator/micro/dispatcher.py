"""Answering invocations by native calls in pinned workers: the paths cold and warm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from orchestrator.answers import encode_arguments
from orchestrator.errors import SettingsError
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.micro.build import Product, build
from orchestrator.micro.channel import Completion, Ending, Kind
from orchestrator.micro.function import RustFunction
from orchestrator.micro.settings import MicroSettings
from orchestrator.micro.syscalls import syscall_name
from orchestrator.micro.toolchain import Toolchain
from orchestrator.micro.worker import Worker
from orchestrator.paths import Path
from orchestrator.settings import checked_timeout
from orchestrator.stopwatch import Stopwatch

NATIVE = "native"
"""The `accelerator` of invocations: nothing stands between the function and the processor."""

_FAULTS = {
    Ending.STACK_OVERFLOW: ("fault", "The function used up its stack."),
    Ending.ARITHMETIC_TRAP: ("fault", "The function divided by zero or overflowed (SIGFPE)."),
    Ending.ABORTED: ("fault", "The function aborted."),
    Ending.MEMORY_FAULT: ("fault", "The function touched memory that is not its own."),
    Ending.OUT_OF_MEMORY: ("memory-limit", "The function asked for more memory than it may have."),
    Ending.RESULT_TOO_LARGE: ("result-too-large", "The result is larger than the channel takes."),
    Ending.WORKER_DIED: ("node-died", "The worker ended during the call; another took its place."),
}
_NOT_RESIDENT = (Ending.NOT_LOADED, Ending.MEMORY_FAULT, Ending.WORKER_DIED)


@dataclass
class _Resident:
    """A function on one worker."""

    worker: Worker
    number: int
    life: int = 0
    """Of the worker's processes the one that has loaded it, as far as is known; 0 for none."""

    @property
    def loaded(self) -> bool:
        return self.life == self.worker.lives

    def learn(self, ending: Ending) -> None:
        """Take note of how a request ended that loads the library."""
        self.life = 0 if ending in _NOT_RESIDENT else self.worker.lives


class MicroDispatcher:
    """Answers invocations in workers, one on each chosen core. An async context manager.

    Functions are built when they are first seen; the compiler is no part of an invocation's
    latency. Raises FunctionFileError for a function that the build refuses.
    """

    def __init__(self, settings: MicroSettings, toolchain: Toolchain | None = None) -> None:
        self.settings = settings
        self.accelerator = NATIVE
        self._toolchain = toolchain
        self._workers: list[Worker] = []
        self._stack = contextlib.AsyncExitStack()
        self._libraries: dict[str, asyncio.Task[pathlib.Path]] = {}
        self._resident: dict[tuple[int, str], _Resident] = {}

    async def __aenter__(self) -> Self:
        toolchain = self._toolchain
        if toolchain is None:
            self._toolchain = toolchain = await asyncio.to_thread(Toolchain.find)
        async with contextlib.AsyncExitStack() as stack:
            for core in self.settings.cores:
                worker = Worker(toolchain, self.settings, core)
                self._workers.append(await stack.enter_async_context(worker))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._libraries.values():
            task.cancel()
        await asyncio.gather(*self._libraries.values(), return_exceptions=True)
        await self._stack.aclose()

    @property
    def workers(self) -> list[Worker]:
        """The workers, in the order of the settings' cores."""
        return list(self._workers)

    async def ensure_base(self) -> None:
        """Do nothing: the workers run, and there is nothing that functions start from."""

    async def prepare(self, count: int, path: Path = Path.AUTO) -> None:
        """Do nothing: workers are always ready."""

    async def flush(self) -> None:
        """Do nothing: nothing is stored."""

    async def starting_point(self, function: RustFunction) -> Path:
        """Return the path that `auto` would take now, as far as is known."""
        resident = any(
            state.loaded for (_, known), state in self._resident.items() if known == function.id
        )
        return Path.WARM if resident else Path.COLD

    async def invoke(
        self,
        function: RustFunction,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        """Call a function; its own failure is the invocation's `error`, never an exception.

        Cold loads the function's library within the latency, warm finds it loaded; auto takes
        what is there. `timeout_s` is the call's budget; None takes the settings'. Raises
        FunctionFileError when the function cannot be built, MicroError when no worker can be had.
        """
        if path in (Path.BOOTED, Path.HOT):
            raise SettingsError(
                f"The path {path} needs a unikernel. The isolation language has cold and warm."
            )
        limit = self.settings.timeout_s if timeout_s is None else checked_timeout(timeout_s)
        library = await self._library(function)
        worker = self._choose()
        resident = self._on(worker, function, library)
        if path is Path.COLD and resident.loaded:
            await worker.request(Kind.UNLOAD, resident.number)
            resident.life = 0
        elif path is Path.WARM and not resident.loaded:
            loaded = await worker.request(Kind.LOAD, resident.number)
            resident.learn(loaded.ending)
        watch = Stopwatch()
        payload = encode_arguments(args)
        if isinstance(payload, InvocationError):
            return _answer(path, watch, None, None, payload)
        if len(payload) > worker.most_payload:
            told = InvocationError(
                "args-too-large",
                f"The arguments are {len(payload)} bytes of JSON; at most {worker.most_payload} "
                "fit into the channel.",
            )
            return _answer(path, watch, None, None, told)
        completion = await worker.request(Kind.CALL, resident.number, payload, limit)
        resident.learn(completion.ending)
        result, error = _outcome(completion, limit)
        return _answer(path, watch, completion, result, error)

    def _choose(self) -> Worker:
        return min(self._workers, key=lambda worker: (worker.broken, worker.under_way))

    def _on(self, worker: Worker, function: RustFunction, library: pathlib.Path) -> _Resident:
        key = (self._workers.index(worker), function.id)
        if key not in self._resident:
            self._resident[key] = _Resident(worker, worker.number(function.name, library))
        return self._resident[key]

    async def _library(self, function: RustFunction) -> pathlib.Path:
        """Build the function, once however many ask at the same time."""
        task = self._libraries.get(function.id)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(asyncio.to_thread(self._build, function))
            self._libraries[function.id] = task
        return await asyncio.shield(task)

    def _build(self, function: RustFunction) -> pathlib.Path:
        assert self._toolchain is not None
        return build(function, self._toolchain, Product(self.settings.mechanism))


def _outcome(
    completion: Completion, limit_s: float
) -> tuple[dict[str, Any] | None, InvocationError | None]:
    text = completion.payload.decode("utf-8", "replace")
    match completion.ending:
        case Ending.RETURNED:
            try:
                result = json.loads(completion.payload)
            except (ValueError, RecursionError) as error:
                return None, InvocationError("bad-result", f"The result is no JSON: {error}.")
            if isinstance(result, dict):
                return result, None
            return None, InvocationError("bad-result", "The result is no JSON object.")
        case Ending.FAILED | Ending.PANICKED:
            return None, InvocationError("exception", text)
        case Ending.OVER_BUDGET:
            return None, InvocationError(
                "timeout", f"The function was stopped after its budget of {limit_s:g} s."
            )
        case Ending.FORBIDDEN_CALL:
            name = syscall_name(int(text) if text.isdigit() else -1)
            return None, InvocationError("bad-call", f"The function made the system call {name}.")
        case Ending.NOT_LOADED:
            return None, InvocationError("import-error", text)
        case Ending.BAD_REQUEST:
            return None, InvocationError("protocol", text or "The worker's answer makes no sense.")
        case other:
            kind, message = _FAULTS[other]
            return None, InvocationError(kind, message)


def _answer(
    path: Path,
    watch: Stopwatch,
    completion: Completion | None,
    result: dict[str, Any] | None,
    error: InvocationError | None,
) -> Invocation:
    phases = Phases()
    if completion is not None:
        load_ms, run_ms = completion.load_ns / 1e6, completion.run_ns / 1e6
        phases = Phases(import_=load_ms if completion.load_ns else None, run=run_ms)
        path = Path.COLD if completion.load_ns else Path.WARM
    elif path is Path.AUTO:
        path = Path.WARM
    return Invocation(
        path=path,
        latency_ms=watch.total,
        phases=phases,
        accelerator=NATIVE,
        result=result,
        error=error,
        isolation="language",
    )
