"""A dispatcher without machines, and settings for a platform on it."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import MachineError, NodeFullError
from orchestrator.function import Function
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
from orchestrator.platform.registry import Deployment
from orchestrator.settings import Isolation, Settings

ECHO = Function("echo", "source", b"def main(args): return args")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes soon."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


class FakeDispatcher:
    """Answers with the arguments and what it was given.

    Arguments steer it: `fail` names the kind of error, `die` makes the platform fail, `full` has no
    memory for the call, `wait` keeps the invocation running until `go` is set.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.go = asyncio.Event()
        self.entered = self.left = self.flushed = self.most = self.running = self.cancelled = 0
        self.start_failure: MachineError | None = None
        self.may_start: asyncio.Event | None = None
        self.called: set[str] = set()
        self.functions: list[Function] = []

    @property
    def accelerator(self) -> str:
        return "fake"

    async def __aenter__(self) -> Self:
        await asyncio.sleep(0)
        if self.start_failure is not None:
            raise self.start_failure
        self.entered += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.left += 1

    async def ensure_base(self) -> None:
        if self.may_start is not None:
            await self.may_start.wait()

    async def flush(self) -> None:
        self.flushed += 1

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        self.functions.append(function)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if args.get("wait"):
                await self.go.wait()
            if args.get("full"):
                raise NodeFullError("echo waited too long for memory of the node.", retry_s=3)
            if args.get("die"):
                raise MachineError("QEMU ended by itself. Try again.", log_tail="its last words")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        error = None
        if kind := args.get("fail"):
            error = InvocationError(kind, "it was asked for", "Traceback: here")
        known = function.id in self.called
        self.called.add(function.id)
        return Invocation(
            path=(Path.HOT if known else Path.COLD) if path is Path.AUTO else path,
            latency_ms=1.5,
            phases=Phases(run=1.0),
            accelerator="fake",
            result=None if error else {"args": dict(args), "timeout_s": timeout_s},
            error=error,
            stdout=args.get("print", ""),
            snapshot="0123456789abcdef",
            isolation=self.settings.isolation,
        )


class Fakes:
    """Makes the dispatchers of a platform and remembers them."""

    def __init__(self) -> None:
        self.made: list[FakeDispatcher] = []
        self.start_failure: MachineError | None = None
        self.may_start: asyncio.Event | None = None

    def make(self, settings: Settings) -> FakeDispatcher:
        self.made.append(FakeDispatcher(settings))
        self.made[-1].start_failure = self.start_failure
        self.made[-1].may_start = self.may_start
        return self.made[-1]

    def of(self, isolation: Isolation) -> FakeDispatcher:
        """Return the one of an isolation, if it is the only one."""
        (found,) = (each for each in self.made if each.settings.isolation == isolation)
        return found


def fake_settings(folder: pathlib.Path) -> Settings:
    """Return settings with a store in `folder` and no image."""
    return Settings(image=folder / "absent.elf", store=folder / "store")


def echo(name: str = "echo", **how: Any) -> Deployment:
    """Return a deployment of a function that the fake answers."""
    return Deployment(Function(name, "source", ECHO.code), **how)
