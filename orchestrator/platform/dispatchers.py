"""A platform's dispatchers: one for each kind of machine, started when used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.platform.registry import Deployment
from orchestrator.settings import DEFAULT_MEMORY_MIB, Isolation, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher


class Key(NamedTuple):
    """What tells dispatchers apart: isolation, and what their machines have."""

    isolation: Isolation
    memory_mib: int
    runtime: str
    network: bool = False
    """Whether they have a network card; functions that reach nothing never see one."""


class Dispatcher(Protocol):
    """What a platform needs of an isolation's dispatcher."""

    async def __aenter__(self) -> Self:
        """Make it ready to be called."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all it started."""

    @property
    def accelerator(self) -> str:
        """Name of the accelerator in use."""

    async def ensure_base(self) -> object:
        """Have the base snapshot taken."""

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk."""

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = ...,
        timeout_s: float | None = ...,
    ) -> Invocation:
        """Call a function."""


Make = Callable[[Settings], Dispatcher]


def make_dispatcher(settings: Settings) -> Dispatcher:
    """Return the dispatcher of an isolation, not yet entered."""
    return VmDispatcher(settings) if settings.isolation == "vm" else UcDispatcher(settings)


class Dispatchers:
    """Starts dispatchers when they are first used; an async context manager that ends them all.

    Args:
        settings: of every dispatcher, but for what is in its key.
        memory_mib: memory of a machine for each isolation, where a function asks for none.
        make: makes one.
    """

    def __init__(
        self, settings: Settings, memory_mib: Mapping[Isolation, int] | None, make: Make
    ) -> None:
        self._settings = settings
        self._memory_mib = DEFAULT_MEMORY_MIB | dict(memory_mib or {})
        self._make = make
        self._started: dict[Key, Dispatcher] = {}
        self._starting: dict[Key, asyncio.Task[Dispatcher]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        starting = list(self._starting.values())
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        self._started.clear()
        await self._stack.__aexit__(kind, error, trace)

    @property
    def started(self) -> Mapping[Key, Dispatcher]:
        """The dispatchers that were used so far."""
        return self._started

    async def of(self, deployment: Deployment) -> Dispatcher:
        """Return the dispatcher for a function. Raises SeussError when it cannot be started."""
        memory = deployment.memory_mib or self._memory_mib[deployment.isolation]
        function = deployment.function
        return await self.get(
            Key(deployment.isolation, memory, function.runtime, bool(function.network))
        )

    async def default(self, isolation: Isolation) -> Dispatcher:
        """Return the dispatcher of an isolation for functions that ask for no memory."""
        return await self.get(Key(isolation, self._memory_mib[isolation], self._settings.runtime))

    async def get(self, key: Key) -> Dispatcher:
        """Return the dispatcher of that key, started and with its base snapshot taken."""
        ready = self._started.get(key)
        if ready is not None:
            return ready
        starting = self._starting.get(key)
        if starting is None:
            starting = self._starting[key] = asyncio.create_task(self._start(key))
            starting.add_done_callback(lambda _: self._starting.pop(key, None))
        # A start takes seconds: a caller that goes away leaves it to those who come after.
        return await asyncio.shield(starting)

    async def _start(self, key: Key) -> Dispatcher:
        settings = replace(
            self._settings.for_runtime(key.runtime),
            isolation=key.isolation,
            memory_mib=key.memory_mib,
            network=key.network,
        )
        async with AsyncExitStack() as starting:
            dispatcher = await starting.enter_async_context(self._make(settings))
            await dispatcher.ensure_base()
            self._stack.push_async_exit(starting.pop_all())
        self._started[key] = dispatcher
        return dispatcher

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk."""
        await asyncio.gather(*(dispatcher.flush() for dispatcher in self._started.values()))
