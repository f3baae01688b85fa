"""Answering invocations: the paths booted, cold and warm, and the choice between them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import SettingsError
from orchestrator.function import Function
from orchestrator.image import BOOT_DEADLINE_S
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
from orchestrator.settings import Settings, checked_timeout
from orchestrator.stopwatch import Stopwatch
from orchestrator.vm.capture import Captured, resume
from orchestrator.vm.instance import Instance
from orchestrator.vm.node import Base, VmNode
from orchestrator.vm.pool import Pool, ReadyMachine
from orchestrator.vm.restore import complete
from orchestrator.vm.tails import Tail, Tails
from snapshot_store import (
    CorruptSnapshotError,
    Plan,
    SeussError,
    Snapshot,
    UnknownSnapshotError,
)

logger = logging.getLogger(__name__)

MOST_UNSTORED = 8
"""Snapshots on their way to the disk; with so many, a cold call waits before it begins."""


class VmDispatcher:
    """Answers invocations from the deepest snapshot that fits, and takes the missing ones.

    An async context manager: leaving it, by whatever way, ends every machine. Invocations may run
    at the same time.

    Args:
        settings: image, store, hardware, size of the pools.
    """

    def __init__(self, settings: Settings) -> None:
        self._node = VmNode(settings)
        self._tails = Tails()
        self._unstored: set[asyncio.Task[None]] = set()
        self._naming: dict[asyncio.Task[str | None], str] = {}
        """Function of each capture that has no name yet."""
        self._making: dict[str, asyncio.Event] = {}
        """Functions that a first call imports; set once that is captured, or failed."""

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
            await self.flush()
        finally:
            await self._node.__aexit__(kind, error, trace)

    @property
    def accelerator(self) -> str:
        """Name of the accelerator in use: kvm or tcg."""
        return self._node.hardware.accelerator.name

    async def ensure_base(self) -> Snapshot:
        """Return the base snapshot for this image and hardware; takes it if there is none."""
        return (await self._node.base()).snapshot

    async def starting_point(self, function: Function) -> Path:
        """Return the path that `auto` would take now, warm or cold, as far as is known."""
        base = await self._node.base()
        await self._named(function)
        if self._tails.get(function.id) is None:
            found = await asyncio.to_thread(self._node.find_function, base, function)
            return Path.COLD if found is None else Path.WARM
        return Path.WARM

    async def prepare(self, count: int, path: Path = Path.AUTO) -> None:
        """Wait until `count` machines are ready for calls on that path, or on any for auto.

        The pool's size is the most.
        """
        if path is Path.BOOTED:
            return
        base = await self._node.base()
        pools = {Path.COLD: (base.armed,), Path.WARM: (base.waiting,)}
        wanted = pools.get(path, (base.armed, base.waiting))
        await asyncio.gather(*(pool.fill(count) for pool in wanted))

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk; leaving the orchestrator does too."""
        while self._naming or self._unstored:
            await asyncio.wait(self._naming or self._unstored)

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
        latency. A snapshot that cannot be stored is no failure either: the log says why, and the
        next call is cold again. Raises SettingsError for a limit that cannot be, SeussError when
        the platform fails.
        """
        if path is Path.HOT:
            raise SettingsError(
                "The path hot needs contexts that stay idle, which a machine per invocation has "
                "not. Choose the isolation uc."
            )
        limit = self._node.settings.timeout_s
        if timeout_s is not None:
            limit = checked_timeout(timeout_s)
        if path is Path.BOOTED:
            with self._node.traffic.request():
                return await self._booted(function, args, limit)
        base = await self._node.base()
        with self._node.traffic.request():
            watch = Stopwatch()
            if path is Path.COLD:
                return await self._cold(base, function, args, limit, watch)
            tail = await self._settled_tail(base, function)
            if tail is not None:
                return await self._warm(base, tail, args, limit, watch)
            if path is Path.AUTO:
                with self._first(function):
                    return await self._cold(base, function, args, limit, watch)
            with self._first(function):
                first = await self._cold(base, function, None, limit, watch)
            if first.error is not None:
                return replace(first, path=Path.WARM)
            watch = Stopwatch()
            tail = await self._settled_tail(base, function)
            if tail is None:
                return await self._cold(base, function, args, limit, watch)
            return await self._warm(base, tail, args, limit, watch)

    async def _booted(
        self, function: Function, args: Mapping[str, Any], limit_s: float
    ) -> Invocation:
        watch = Stopwatch()
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
        self,
        base: Base,
        function: Function,
        args: Mapping[str, Any] | None,
        limit_s: float,
        watch: Stopwatch,
    ) -> Invocation:
        """Import, capture, and run with `args`; None leaves the run out."""
        while len(self._unstored) >= MOST_UNSTORED:
            await asyncio.wait(self._unstored, return_when=asyncio.FIRST_COMPLETED)
        looking = watch.lap()

        async def wake(ready: ReadyMachine) -> None:
            await resume(ready.machine)
            await ready.instance.synchronise()

        async with self._awake(base.armed, wake, watch) as (ready, pooled, spawn):
            assert ready.held is not None
            machine, instance = ready.machine, ready.instance
            phases = Phases(spawn=spawn, restore=looking + watch.lap())
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
            # What the capture is called is worked out while the function runs.
            naming = asyncio.create_task(self._name(base, captured, function))
            self._naming[naming] = function.id
            naming.add_done_callback(self._naming.pop)
            if function.id in self._making:
                self._making[function.id].set()
            phases = replace(phases, capture=watch.lap())
            outcome: dict[str, Any] | InvocationError = {}
            if args is not None:
                outcome = await instance.invoke(args, limit_s)
                phases = replace(phases, run=watch.lap())
            # The answer is ready; it waits for no name.
            snapshot = naming.result() if naming.done() else None
            return self._answer(Path.COLD, watch, phases, instance, outcome, snapshot, pooled)

    async def _warm(
        self,
        base: Base,
        tail: Tail,
        args: Mapping[str, Any],
        limit_s: float,
        watch: Stopwatch,
    ) -> Invocation:
        looking = watch.lap()

        async def wake(ready: ReadyMachine) -> None:
            await complete(ready.machine, tail.stream)
            await ready.instance.synchronise()

        async with self._awake(base.waiting, wake, watch) as (ready, pooled, spawn):
            instance = ready.instance
            phases = Phases(spawn=spawn, restore=looking + watch.lap())
            outcome = await instance.invoke(args, limit_s)
            phases = replace(phases, run=watch.lap())
            return self._answer(Path.WARM, watch, phases, instance, outcome, tail.snapshot, pooled)

    def _answer(
        self,
        path: Path,
        watch: Stopwatch,
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
    async def _awake(
        self,
        pool: Pool[ReadyMachine],
        wake: Callable[[ReadyMachine], Awaitable[None]],
        watch: Stopwatch,
    ) -> AsyncIterator[tuple[ReadyMachine, bool, float]]:
        """Take a machine and have its guest run; end it off the request path when this is left.

        Yields the machine, whether it was made ahead, and the ms its start took. One made ahead
        may have died since: then it is done once more with another.
        """
        for again in (True, False):
            ready, pooled = await pool.take()
            spawn = 0.0 if pooled else watch.lap()
            try:
                try:
                    await wake(ready)
                except SeussError as error:
                    if not (pooled and again):
                        raise
                    logger.warning("a machine made ahead could not be used: %s", error.message)
                    continue
                yield ready, pooled, spawn
                return
            finally:
                self._node.retire(ready)

    async def _settled_tail(self, base: Base, function: Function) -> Tail | None:
        """Return the function's tail, after the import that makes it if one is under way.

        Nothing is awaited between the last look and a return of None, so that the caller can be
        the first who imports.
        """
        tail = await self._find_tail(base, function)
        if tail is None and function.id in self._making:
            # Whoever waited for one that failed does not wait for the next.
            await self._making[function.id].wait()
        if tail is None:
            await self._named(function)
        return tail or self._tails.get(function.id)

    async def _named(self, function: Function) -> None:
        """Wait until what was captured of a function can be looked for."""
        under_way = [task for task, name in self._naming.items() if name == function.id]
        if under_way:
            await asyncio.wait(under_way)

    @contextlib.contextmanager
    def _first(self, function: Function) -> Iterator[None]:
        """Have other calls of the function wait for this one's import."""
        mine = self._making.setdefault(function.id, asyncio.Event())
        try:
            yield
        finally:
            mine.set()
            if self._making.get(function.id) is mine:
                del self._making[function.id]

    async def _find_tail(self, base: Base, function: Function) -> Tail | None:
        """Return the function's snapshot ready to be sent, from memory or from the store."""
        tail = self._tails.get(function.id)
        if tail is None:
            tail = await asyncio.to_thread(self._read_tail, base, function)
            if tail is not None:
                self._tails.keep(function.id, tail)
        return tail

    def _read_tail(self, base: Base, function: Function) -> Tail | None:
        manifest = self._node.find_function(base, function)
        if manifest is None:
            return None
        try:
            snapshot = self._node.store.open(manifest.id, verify=True)
        except (CorruptSnapshotError, UnknownSnapshotError) as error:
            # Damaged, or deleted just now. The cold path that follows takes another.
            logger.warning("%s. %s is captured anew", error.message, function.name)
            return None
        return Tail(snapshot.id, base.origin.tail(snapshot.pages(), snapshot.state()))

    async def _name(self, base: Base, captured: Captured, function: Function) -> str | None:
        """Return the id of the function's snapshot, and see to its being stored.

        A function has one: where it is there already, what was captured is dropped. None when it
        cannot be stored.
        """
        if self._tails.get(function.id) is None:
            try:
                tail, plan = await asyncio.to_thread(self._planned, base, captured, function)
            except SeussError as error:
                logger.warning("%s is not kept as a snapshot: %s", function.name, error.message)
                return None
            if self._tails.get(function.id) is None:  # no other call came first
                self._tails.keep(function.id, tail)
                if plan is not None:
                    storing = asyncio.create_task(self._stored(plan, function))
                    self._unstored.add(storing)
                    storing.add_done_callback(self._unstored.discard)
                return tail.snapshot
        kept = self._tails.get(function.id)
        return None if kept is None else kept.snapshot

    def _planned(
        self, base: Base, captured: Captured, function: Function
    ) -> tuple[Tail, Plan | None]:
        stored = self._read_tail(base, function)
        if stored is not None:
            return stored, None
        plan = self._node.plan_function(base, captured, function)
        return Tail(plan.id, base.origin.tail(captured.pages, captured.state)), plan

    async def _stored(self, plan: Plan, function: Function) -> None:
        try:
            snapshot = await self._node.carry_out(plan)
        except SeussError as error:
            logger.warning(
                "snapshot %s of %s is lost: %s", *(plan.id, function.name, error.message)
            )
        else:
            if snapshot.id == plan.id:
                return
        # It must not be named again: it is not in the store, or not under that id.
        self._tails.drop(function.id)
