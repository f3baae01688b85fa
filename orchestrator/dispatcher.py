"""Answering invocations: the paths booted, cold and warm, and the choice between them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from orchestrator.capture import resume
from orchestrator.function import Function
from orchestrator.instance import Instance
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.node import BOOT_DEADLINE_S, Base, Node
from orchestrator.paths import Path
from orchestrator.pool import Pool, ReadyMachine
from orchestrator.restore import complete
from orchestrator.settings import Settings
from snapshot_store import CorruptSnapshotError, Snapshot

logger = logging.getLogger(__name__)

KEPT_TAILS = 64
"""Function snapshots whose stream is kept in memory, ready to be sent; each is about 1 MB."""


@dataclass(frozen=True)
class _Tail:
    """A function snapshot as a restored machine needs it."""

    snapshot: str
    stream: bytes


class _Stopwatch:
    """Times phases that follow each other."""

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter()

    def lap(self) -> float:
        """Return the milliseconds since the last lap."""
        now = time.perf_counter()
        lap, self._last = (now - self._last) * 1000, now
        return lap

    @property
    def total(self) -> float:
        """Milliseconds since the start."""
        return (time.perf_counter() - self.started) * 1000


class Orchestrator:
    """Answers invocations from the deepest snapshot that fits, and takes the missing ones.

    An async context manager: leaving it, by whatever way, ends every machine. Invocations may run
    at the same time.

    Args:
        settings: image, store, hardware, size of the pools.
    """

    def __init__(self, settings: Settings) -> None:
        self._node = Node(settings)
        self._tails: OrderedDict[str, _Tail] = OrderedDict()
        self._commits: set[asyncio.Task[Snapshot]] = set()

    async def __aenter__(self) -> Self:
        await self._node.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._commits:
                await asyncio.wait(self._commits)
        finally:
            await self._node.__aexit__(kind, error, trace)

    @property
    def accelerator(self) -> str:
        """Name of the accelerator in use: kvm or tcg."""
        return self._node.hardware.accelerator.name

    async def ensure_base(self) -> Snapshot:
        """Return the base snapshot for this image and hardware; takes it if there is none."""
        return (await self._node.base()).snapshot

    async def prepare(self, count: int) -> None:
        """Wait until each pool has `count` machines ready (at most the pool's size)."""
        base = await self._node.base()
        await asyncio.gather(base.waiting.fill(count), base.armed.fill(count))

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        """Call a function; its own failure is the invocation's `error`, never an exception.

        `timeout_s` bounds the import and the run, each; None takes the settings'. Taking the base
        snapshot (or, for an explicit warm, the function's) when it is missing is not part of the
        latency. Raises SeussError when the platform fails.
        """
        limit = self._node.settings.timeout_s if timeout_s is None else timeout_s
        if path is Path.BOOTED:
            with self._node.traffic.request():
                return await self._booted(function, args, limit)
        base = await self._node.base()
        tail = None if path is Path.COLD else await self._find_tail(base, function)
        if path is Path.WARM and tail is None:
            with self._node.traffic.request():
                first = await self._cold(base, function, None, limit)
            if first.error is not None:
                return replace(first, path=Path.WARM)
            tail = await self._find_tail(base, function)
        with self._node.traffic.request():
            if tail is None:
                return await self._cold(base, function, args, limit)
            return await self._warm(base, tail, args, limit)

    async def _booted(
        self, function: Function, args: Mapping[str, Any], limit_s: float
    ) -> Invocation:
        watch = _Stopwatch()
        machine = self._node.unbooted()
        try:
            await machine.start()
            instance = Instance(machine)
            phases = Phases(spawn=watch.lap())
            await instance.synchronise()
            await instance.ready(BOOT_DEADLINE_S)
            phases = replace(phases, restore=watch.lap())
            outcome: dict[str, Any] | InvocationError | None = await instance.load(
                function, limit_s
            )
            phases = replace(phases, import_=watch.lap())
            if outcome is None:
                outcome = await instance.invoke(args, limit_s)
                phases = replace(phases, run=watch.lap())
            return self._answer(Path.BOOTED, watch, phases, instance, outcome, None, False)
        finally:
            self._node.retire(machine)

    async def _cold(
        self, base: Base, function: Function, args: Mapping[str, Any] | None, limit_s: float
    ) -> Invocation:
        """Import, capture, and run with `args`; None leaves the run out."""
        watch = _Stopwatch()
        async with self._taken(base.armed) as (ready, pooled):
            assert ready.held is not None
            machine, instance = ready.machine, Instance(ready.machine)
            spawn = 0.0 if pooled else watch.lap()
            await resume(machine)
            await instance.synchronise()
            phases = Phases(spawn=spawn, restore=watch.lap())
            failure = await instance.load(function, limit_s)
            phases = replace(phases, import_=watch.lap())
            if failure is not None:
                return self._answer(Path.COLD, watch, phases, instance, failure, None, pooled)
            captured = await ready.held.collect()
            if captured.fallback is not None:
                logger.warning(
                    "delta of %s made the slow way: %s", function.name, captured.fallback
                )
            await resume(machine)
            # The store is written while the function runs; the answer waits for both.
            commit = asyncio.create_task(self._node.commit_function(base, captured, function))
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)
            phases = replace(phases, capture=watch.lap())
            outcome: dict[str, Any] | InvocationError = {}
            if args is not None:
                outcome = await instance.invoke(args, limit_s)
                phases = replace(phases, run=watch.lap())
            snapshot = await asyncio.shield(commit)
            stream = base.origin.tail(captured.pages, captured.state)
            self._keep(function, _Tail(snapshot.id, stream))
            phases = replace(phases, capture=(phases.capture or 0.0) + watch.lap())
            return self._answer(Path.COLD, watch, phases, instance, outcome, snapshot.id, pooled)

    async def _warm(
        self, base: Base, tail: _Tail, args: Mapping[str, Any], limit_s: float
    ) -> Invocation:
        watch = _Stopwatch()
        async with self._taken(base.waiting) as (ready, pooled):
            instance = Instance(ready.machine)
            spawn = 0.0 if pooled else watch.lap()
            await complete(ready.machine, tail.stream)
            await instance.synchronise()
            phases = Phases(spawn=spawn, restore=watch.lap())
            outcome = await instance.invoke(args, limit_s)
            phases = replace(phases, run=watch.lap())
            return self._answer(Path.WARM, watch, phases, instance, outcome, tail.snapshot, pooled)

    def _answer(
        self,
        path: Path,
        watch: _Stopwatch,
        phases: Phases,
        instance: Instance,
        outcome: dict[str, Any] | InvocationError,
        snapshot: str | None,
        pooled: bool,
    ) -> Invocation:
        return Invocation(
            path=path,
            latency_ms=watch.total,
            phases=phases,
            accelerator=self.accelerator,
            result=None if isinstance(outcome, InvocationError) else outcome,
            error=outcome if isinstance(outcome, InvocationError) else None,
            stdout=instance.stdout.text,
            stderr=instance.stderr.text,
            stdout_truncated=instance.stdout.truncated,
            stderr_truncated=instance.stderr.truncated,
            snapshot=snapshot,
            pooled=pooled,
        )

    @contextlib.asynccontextmanager
    async def _taken(self, pool: Pool[ReadyMachine]) -> AsyncIterator[tuple[ReadyMachine, bool]]:
        """Take a machine, and end it off the request path when the context is left."""
        ready, pooled = await pool.take()
        try:
            yield ready, pooled
        finally:
            self._node.retire(ready)

    async def _find_tail(self, base: Base, function: Function) -> _Tail | None:
        """Return the function's snapshot ready to be sent, from memory or from the store."""
        kept = self._tails.get(function.id)
        if kept is not None:
            self._tails.move_to_end(function.id)
            return kept
        return await asyncio.to_thread(self._read_tail, base, function)

    def _read_tail(self, base: Base, function: Function) -> _Tail | None:
        manifest = self._node.find_function(base, function)
        if manifest is None:
            return None
        try:
            snapshot = self._node.store.open(manifest.id, verify=True)
        except CorruptSnapshotError as error:
            # The cold path that follows puts a whole copy in its place.
            logger.warning("%s", error)
            return None
        tail = _Tail(snapshot.id, base.origin.tail(snapshot.pages(), snapshot.state()))
        self._keep(function, tail)
        return tail

    def _keep(self, function: Function, tail: _Tail) -> None:
        self._tails[function.id] = tail
        while len(self._tails) > KEPT_TAILS:
            self._tails.popitem(last=False)
