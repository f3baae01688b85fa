"""Answering invocations with a machine each: which path each takes, and the way along it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, Self

from orchestrator.answers import encode_arguments
from orchestrator.anticipation import Anticipation
from orchestrator.calls import Calls
from orchestrator.errors import SettingsError
from orchestrator.function import Function
from orchestrator.image import BOOT_DEADLINE_S
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.network import Resolver, check_card
from orchestrator.paths import Path
from orchestrator.points import ASK, Named, no_point, split, told_names
from orchestrator.runtimes import find_runtime
from orchestrator.settings import Settings, checked_timeout
from orchestrator.stopwatch import Stopwatch
from orchestrator.vm.ahead import Ahead, make_restored
from orchestrator.vm.arguments import Arguments, place_of
from orchestrator.vm.capture import Captured, HeldCapture, resume
from orchestrator.vm.instance import Answer, Instance
from orchestrator.vm.keeping import Keeping
from orchestrator.vm.node import Base, VmNode
from orchestrator.vm.pool import Pool, ReadyMachine
from orchestrator.vm.restore import Grown, complete
from orchestrator.vm.tails import Tail
from orchestrator.wire import MessageType
from snapshot_store import SeussError, Snapshot

logger = logging.getLogger(__name__)

SHORTEST_LIMIT_S = 0.001


@dataclass
class _Call:
    """One invocation under way."""

    base: Base
    function: Function
    args: Mapping[str, Any]
    limit_s: float
    watch: Stopwatch
    rights: bytes


class VmDispatcher:
    """Answers invocations from the deepest snapshot that fits, and takes the missing ones.

    An async context manager: leaving it, by whatever way, ends the calls under way and every
    machine. Invocations may run at the same time.

    Args:
        settings: image, store, hardware, size of the pools.
    """

    def __init__(self, settings: Settings) -> None:
        self._node = VmNode(settings)
        self._resolver = Resolver()
        self._keeping = Keeping(self._node)
        self._arguments = Arguments(self._node, self._keeping, settings.argument_snapshots)
        ahead = min(settings.restored_ahead, settings.pool_size)
        self._ahead = Ahead(ahead, self._node.traffic, self._node.retire)
        self._calls = Calls("dispatcher")

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
            await self._calls.end()
            self._ahead.close()
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
        await self._keeping.named(function.id)
        if self._keeping.tails.get(function.id) is None:
            found = await asyncio.to_thread(self._node.find_function, base, function)
            return Path.COLD if found is None else Path.WARM
        return Path.WARM

    async def prepare(self, count: int, path: Path = Path.AUTO) -> None:
        """Wait until `count` machines are ready for calls on that path, or on any for auto.

        The pool's size is the most. Those that stand restored at a point are ready then, too.
        """
        if path is Path.BOOTED:
            return
        base = await self._node.base()
        pools = {Path.COLD: (base.armed,)}
        pools |= dict.fromkeys((Path.WARM, Path.RESUMED), (base.waiting,))
        wanted = pools.get(path, (base.armed, base.waiting))
        await asyncio.gather(*(pool.fill(count) for pool in wanted))
        if path in (Path.AUTO, Path.RESUMED):
            await self._ahead.fill()

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk; leaving the orchestrator does too."""
        await self._keeping.flush()

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
        next call is cold again. Raises SettingsError for a limit that cannot be, PoolClosedError
        when the dispatcher is left meanwhile, SeussError when the platform fails.
        """
        return await self._calls.run(self._invoke(function, args, path, timeout_s))

    async def _invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path,
        timeout_s: float | None,
    ) -> Invocation:
        if path is Path.HOT:
            raise SettingsError(
                "The path hot needs contexts that stay idle, which a machine per invocation has "
                "not. Choose the isolation uc."
            )
        limit = self._node.settings.timeout_s
        if timeout_s is not None:
            limit = checked_timeout(timeout_s)
        check_card(function.name, function.network, self._node.settings.network)
        rights = await self._resolver.rights(function.network)
        if path is Path.BOOTED:
            with self._node.traffic.request():
                return await self._booted(function, args, limit, rights)
        base = await self._node.base()
        with self._node.traffic.request():
            call = _Call(base, function, args, limit, Stopwatch(), rights)
            if path is Path.COLD:
                return await self._cold(call)
            tail = await self._keeping.settled(base, function)
            to_point = path is Path.RESUMED or (path is Path.AUTO and function.mentions_point)
            first: Invocation | None = None
            if tail is None:
                # A machine that was captured cannot be captured again at once, so to its point a
                # function goes on another.
                run = path is Path.AUTO and not to_point
                with self._keeping.first(function):
                    first = await self._cold(call, run)
                if run:
                    return first
                if first.error is not None:
                    return replace(first, path=Path.COLD if path is Path.AUTO else path)
                if path is not Path.AUTO:
                    call.watch = Stopwatch()
                tail = await self._keeping.settled(base, function)
            if tail is None:
                return await self._cold(call)
            if not to_point:
                return await self._warm(call, tail)
            answer = await self._by_point(call, tail, path)
            if first is None or path is not Path.AUTO:
                return answer
            return replace(
                answer,
                path=Path.COLD,
                latency_ms=call.watch.total,
                phases=_added(first.phases, answer.phases),
            )

    async def _by_point(self, call: _Call, tail: Tail, path: Path) -> Invocation:
        """Resume from the function's point, or take the snapshot there on the way.

        For an explicit resumed it is taken ahead. Of calls at the same time one takes it.
        """
        arguments, function = self._arguments, call.function
        named = await self._split(call, tail)
        if named is None and path is Path.RESUMED:
            raise no_point(function)
        if named is None:
            return await self._warm(call, tail)
        place = place_of(function, named)
        other = arguments.turns.under_way(place)
        if other is not None:
            await other.wait()
            deeper = await arguments.find(call.base, function, tail, named)
        else:
            with contextlib.ExitStack() as turn:
                turn.enter_context(arguments.turns.taken(place))
                deeper = await arguments.find(call.base, function, tail, named)
                if deeper is None:
                    explicit = path is Path.RESUMED
                    first = await self._to_point(call, tail, named, turn, go_on=not explicit)
                    if first is not None:
                        return replace(first, path=path) if explicit and first.error else first
                    call.watch = Stopwatch()
                    deeper = await arguments.find(call.base, function, tail, named)
        if deeper is None:
            return await self._warm(call, tail)
        return await self._resumed(call, deeper, named)

    async def _split(self, call: _Call, tail: Tail) -> Named | None:
        """Return the arguments split at the function's point; None without one that counts."""
        arguments, function = self._arguments, call.function
        if not arguments.enabled or isinstance(encode_arguments(call.args), InvocationError):
            return None
        if not arguments.points.knows(function):
            await arguments.look(function, tail)
        if not arguments.points.knows(function):
            async with self._awake(call.base.waiting, _restore(tail), Stopwatch()) as (ready, *_):
                ready.instance.rights = call.rights
                told = await ready.instance.begin(ASK, call.limit_s)
            names = told.content.get("names") if isinstance(told, Answer) else None
            arguments.points.learn(function.id, told_names(names))
        names = arguments.points.names(function)
        return None if names is None else split(function, names, call.args)

    async def _booted(
        self, function: Function, args: Mapping[str, Any], limit_s: float, rights: bytes
    ) -> Invocation:
        watch = Stopwatch()
        machine = self._node.unbooted()
        try:
            await machine.start()
            instance = Instance(machine)
            instance.rights = rights
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

    async def _cold(self, call: _Call, run: bool = True) -> Invocation:
        """Import, capture, and run, unless that is not wanted."""
        base, function, limit_s, watch = call.base, call.function, call.limit_s, call.watch
        await self._keeping.room()
        looking = watch.lap()

        async with self._awake(base.armed, _go_on, watch) as (ready, pooled, spawn):
            assert ready.held is not None
            machine, instance = ready.machine, ready.instance
            instance.rights = call.rights
            phases = Phases(spawn=spawn, restore=looking + watch.lap())
            failure = await instance.load(function, limit_s)
            phases = replace(phases, import_=watch.lap())
            if function.mentions_point:
                self._arguments.points.learn(function.id, instance.point)
            if failure is not None:
                return self._answer(Path.COLD, watch, phases, instance, failure, None, pooled)
            captured = await ready.held.collect()
            if captured.fallback is not None:
                logger.warning(
                    "delta of %s made the slow way: %s", function.name, captured.fallback
                )
            await resume(machine)
            # What the capture is called is worked out while the function runs.
            naming = self._keeping.captured(base, captured, function)
            phases = replace(phases, capture=watch.lap())
            outcome: dict[str, Any] | InvocationError = {}
            if run:
                outcome = await instance.invoke(call.args, limit_s)
                phases = replace(phases, run=watch.lap())
            # The answer is ready; it waits for no name.
            snapshot = naming.result() if naming.done() else None
            return self._answer(Path.COLD, watch, phases, instance, outcome, snapshot, pooled)

    async def _warm(self, call: _Call, tail: Tail) -> Invocation:
        return await self._restored(
            *(call, tail, Path.WARM), lambda instance: instance.invoke(call.args, call.limit_s)
        )

    async def _resumed(self, call: _Call, tail: Tail, named: Named) -> Invocation:
        try:
            return await self._restored(
                *(call, tail, Path.RESUMED),
                lambda instance: instance.rest(named.rest, call.limit_s),
                self._ahead.take(place_of(call.function, named)),
            )
        finally:
            self._expect(call, tail, named)

    def _expect(self, call: _Call, tail: Tail, named: Named) -> None:
        """Have the next call with the same named values find a machine at its point."""
        optimised = self._node.settings.ao is Anticipation.FULL
        rehearses = optimised and find_runtime(call.function.runtime).rehearses
        make = functools.partial(
            make_restored, call.base.origin, self._node.hardware, tail, rehearses
        )
        self._ahead.expect(place_of(call.function, named), make)

    async def _restored(
        self,
        call: _Call,
        tail: Tail,
        path: Path,
        run: Callable[[Instance], Awaitable[dict[str, Any] | InvocationError]],
        ahead: ReadyMachine | None = None,
    ) -> Invocation:
        """Restore a machine and run on it, unless one stands restored `ahead`."""
        watch = call.watch
        looking = watch.lap()
        wake = _restore(tail)
        async with self._awake(call.base.waiting, wake, watch, ahead) as (ready, pooled, spawn):
            instance = ready.instance
            instance.rights = call.rights
            phases = Phases(spawn=spawn, restore=looking + watch.lap())
            outcome = await run(instance)
            phases = replace(phases, run=watch.lap())
            return self._answer(path, watch, phases, instance, outcome, tail.snapshot, pooled)

    async def _to_point(
        self, call: _Call, tail: Tail, named: Named, turn: contextlib.ExitStack, go_on: bool
    ) -> Invocation | None:
        """Restore a function, record what it changes up to its point, and capture that there.

        Then go on, if that is wanted; else return None. What the machine is given until then is the
        named arguments. `turn` ends when others can find the snapshot.
        """
        assert tail.pages is not None, "kept for every function that mentions a point"
        parent = Grown(call.base.origin, tail.pages)
        watch, limit_s = call.watch, call.limit_s
        looking = watch.lap()

        async def wake(ready: ReadyMachine) -> None:
            await ready.machine.stay_paused()
            await complete(ready.machine, tail.stream)
            ready.held = HeldCapture(ready.machine, parent)
            await ready.held.arm()
            await resume(ready.machine)
            await ready.instance.synchronise()

        async with self._awake(call.base.waiting, wake, watch) as (ready, pooled, spawn):
            machine, instance = ready.machine, ready.instance
            instance.rights = call.rights
            assert ready.held is not None
            phases = Phases(spawn=spawn, restore=looking + watch.lap())
            begun = await instance.begin(named.begin, limit_s)
            run = watch.lap()
            outcome: dict[str, Any] | InvocationError
            if isinstance(begun, InvocationError):
                outcome = begun
            elif begun.type is MessageType.RESULT:
                outcome = begun.content
            elif begun.content.get("reached") is not True:
                self._arguments.points.learn(
                    call.function.id, told_names(begun.content.get("names"))
                )
                outcome = await instance.invoke(call.args, limit_s)
            else:
                captured = await ready.held.collect()
                keeping = self._keeping.soon(
                    self._keep_argument(call, tail, named, captured, turn.pop_all()),
                    place_of(call.function, named),
                )
                if not go_on:
                    await asyncio.shield(keeping)
                    return None
                await resume(machine)
                phases = replace(phases, capture=watch.lap())
                left = max(SHORTEST_LIMIT_S, limit_s - run / 1000)
                outcome = await instance.rest(named.rest, left)
            phases = replace(phases, run=run + watch.lap())
            return self._answer(Path.WARM, watch, phases, instance, outcome, tail.snapshot, pooled)

    async def _keep_argument(
        self,
        call: _Call,
        parent: Tail,
        named: Named,
        captured: Captured,
        turn: contextlib.ExitStack,
    ) -> None:
        """Keep a snapshot at a function's point; only then may other calls look for it."""
        with turn:
            tail = await self._arguments.keep(call.base, call.function, parent, named, captured)
        self._expect(call, tail, named)
        self._arguments.store(call.function, parent, named, captured)

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
        ahead: ReadyMachine | None = None,
    ) -> AsyncIterator[tuple[ReadyMachine, bool, float]]:
        """Take a machine and have its guest run; end it off the request path when this is left.

        Yields the machine, whether it was made ahead, and the ms its start took. One made ahead
        may have died since: then it is done once more with another. `ahead` is tried first.
        """
        for again in (True, False) if ahead is None else (True, True, False):
            ready, pooled = (ahead, True) if ahead is not None else await pool.take()
            rouse, ahead = (wake if ahead is None else _go_on), None
            spawn = 0.0 if pooled else watch.lap()
            try:
                try:
                    await rouse(ready)
                except SeussError as error:
                    if not (pooled and again):
                        raise
                    logger.warning("a machine made ahead could not be used: %s", error.message)
                    continue
                yield ready, pooled, spawn
                return
            finally:
                self._node.retire(ready)


async def _go_on(ready: ReadyMachine) -> None:
    """Have a machine that stands paused run on."""
    await resume(ready.machine)
    await ready.instance.synchronise()


def _restore(tail: Tail) -> Callable[[ReadyMachine], Awaitable[None]]:
    """Return what has a waiting machine run on from a snapshot."""

    async def wake(ready: ReadyMachine) -> None:
        await complete(ready.machine, tail.stream)
        await ready.instance.synchronise()

    return wake


def _added(first: Phases, then: Phases) -> Phases:
    """Return the time of two stretches of one call, by phase."""
    sums = {}
    for entry in fields(Phases):
        values = [getattr(each, entry.name) for each in (first, then)]
        known = [value for value in values if value is not None]
        sums[entry.name] = sum(known) if known else None
    return Phases(**sums)
