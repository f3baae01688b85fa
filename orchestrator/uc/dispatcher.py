"""Answering invocations in unikernel contexts of one node: the paths booted, cold, warm and hot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from orchestrator.answers import encode_arguments
from orchestrator.errors import ProtocolError
from orchestrator.function import Function
from orchestrator.image import PROBE_NAME, RUNTIME, check_mark, image_digest, image_mark
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.machines import accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.paths import Path
from orchestrator.runtime_folder import runtime_folder
from orchestrator.settings import Settings, checked_timeout
from orchestrator.stopwatch import Stopwatch
from orchestrator.uc.life import Life
from orchestrator.uc.multiplexer import Reply
from orchestrator.uc.node import ORDER_DEADLINE_S, UcNode
from orchestrator.uc.shared_region import SharedRegion, check_memory
from orchestrator.uc.store import StoredContexts, context_facts
from orchestrator.wire import SNAPSHOT, Frame
from snapshot_store import SnapshotStore

logger = logging.getLogger(__name__)

HARMLESS = frozenset({"exception", "bad-result", "result-too-large"})
"""Kinds of failure after which a UC can serve its function's next request."""
GONE = "bad-request"
"""What the kernel says of a request to a UC that has ended."""
NOTHING = InvocationError("protocol", "no request was made")


class UcDispatcher:
    """Answers invocations from idle UCs and in-node snapshots, and takes the missing ones.

    An async context manager: leaving it ends the node. Invocations may run at the same time; first
    calls of one function import it once. A node that dies fails the requests it serves with
    `node-died`; the next request starts another.

    Args:
        settings: image, store, hardware.
        monitor: listening socket on which a debugger can reach the node's machine.
    """

    def __init__(self, settings: Settings, monitor: socket.socket | None = None) -> None:
        self.settings = settings
        self._monitor = monitor
        self.hardware: Hardware
        self._store: SnapshotStore
        self._stored: StoredContexts
        self._region: SharedRegion
        self._mark: list[int] = []
        self._life: Life | None = None
        self._one_life = asyncio.Lock()

    async def __aenter__(self) -> Self:
        settings = self.settings
        self._mark = image_mark(settings.image)
        image = await asyncio.to_thread(image_digest, settings.image)
        chosen = await accelerator.choose(
            settings.accelerator, settings.image.with_name(PROBE_NAME)
        )
        logger.info("accelerator: %s", chosen.reason)
        self.hardware = Hardware(chosen, settings.machine, settings.memory_mib, settings.cores)
        facts = context_facts(self.hardware.facts(await accelerator.qemu_version()))
        check_memory(self.hardware)
        # Not in a thread: a cancellation would leave a store behind that nobody closes.
        self._store = SnapshotStore(settings.store)
        try:
            self._region = SharedRegion(folder=runtime_folder() / "regions", image=image)
        except BaseException:
            self._store.close()
            raise
        self._stored = StoredContexts(self._store, image, RUNTIME, facts, settings.ao, self._region)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        life, self._life = self._life, None
        try:
            if life is not None:
                await life.close()
        finally:
            self._region.close()
            self._store.close()

    @property
    def accelerator(self) -> str:
        """Name of the accelerator in use: kvm or tcg."""
        return self.hardware.accelerator.name

    async def ensure_base(self) -> None:
        """Start the node and take its base snapshot, unless that is done. Raises SeussError."""
        await self.life()

    async def prepare(self, count: int, path: Path = Path.AUTO) -> None:
        """Have the node running: it keeps nothing else ready."""
        await self.life()

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk; leaving the dispatcher does too."""
        if self._life is not None:
            await self._life.flush()

    async def starting_point(self, function: Function) -> Path:
        """Return auto: which path a call takes shows when it is made, and nothing depends on it."""
        return Path.AUTO

    async def life(self) -> Life:
        """Return the running node with its base; a new one if the last died. Raises SeussError."""
        async with self._one_life:
            if self._life is not None and not self._life.node.alive:
                logger.warning("the node died; starting another")
                dead, self._life = self._life, None
                await dead.close()
            if self._life is None:
                self._life = await self._begin()
            return self._life

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        """Call a function; its own failure is the invocation's `error`, never an exception.

        `timeout_s` bounds the import and the run, each; None takes the settings'. Starting the
        node, and what an explicit warm or hot needs to start from, is not part of the latency; the
        wait for another call's import of the same function is. Raises SeussError when the platform
        fails.
        """
        limit = self.settings.timeout_s
        if timeout_s is not None:
            limit = checked_timeout(timeout_s)
        life = await self.life()
        request = _Request(life, function, limit, self.accelerator)
        arguments = encode_arguments(args)
        if isinstance(arguments, InvocationError):
            return request.answer(path, Reply(arguments, 0))
        try:
            with life.traffic.request():
                return await self._choose(request, arguments, path)
        finally:
            if request.reply.error is not None and request.reply.error.kind == "timeout":
                await self._check(life)

    async def _choose(self, request: _Request, arguments: bytes, path: Path) -> Invocation:
        life, function = request.life, request.function
        if path is Path.BOOTED:
            return await request.booted(arguments)
        if path is Path.COLD:
            return await request.cold(arguments)
        if path is Path.AUTO:
            return await self._deepest(request, arguments)
        context = life.idle.take(function.id) if path is Path.HOT else None
        if context is None:
            snapshot = life.snapshots.find(function.id)
            if snapshot is None:
                snapshot = await request.bring_in()
            if snapshot is None:
                first = await request.cold(None)
                snapshot = life.snapshots.find(function.id)
                if first.error is not None or snapshot is None:
                    return replace(first, path=path)
            if path is Path.WARM:
                return await request.restarted().warm(snapshot, arguments)
            deployed = await life.node.deploy(snapshot)
            if isinstance(deployed, InvocationError):
                return request.answer(path, Reply(deployed, 0))
            context, _ = deployed
        return await request.restarted().hot(context, arguments)

    async def _deepest(self, request: _Request, arguments: bytes) -> Invocation:
        life, function = request.life, request.function.id
        while True:
            context = life.idle.take(function)
            if context is not None:
                answer = await request.hot(context, arguments)
                if answer.error is None or answer.error.kind != GONE:
                    return answer
                continue
            snapshot = life.snapshots.find(function)
            if snapshot is not None:
                return await request.warm(snapshot, arguments)
            imported = life.importing.get(function)
            if imported is not None:
                await imported.wait()
                continue
            snapshot = await request.bring_in()
            if snapshot is None:
                return await request.cold(arguments)
            return await request.warm(snapshot, arguments)

    async def _begin(self) -> Life:
        check_mark(self.settings.image, self._mark)
        started: list[Life] = []
        node = UcNode(
            self.hardware,
            self.settings.image,
            self._region,
            lambda context: started[0].idle.forget(context) if started else None,
            self._monitor,
        )
        await node.start()
        try:
            started.append(await Life.begin(node, self._stored, self.settings))
        except BaseException:
            await node.close()
            raise
        return started[0]

    async def _check(self, life: Life) -> None:
        """See whether the node still answers after a request did not come back; end it if not."""
        try:
            async with asyncio.timeout(ORDER_DEADLINE_S):
                await life.node.status()
        except Exception as error:  # whatever it says instead of its state, it cannot be used
            await life.node.give_up(InvocationError("node-died", f"The node hangs: {error}"))


class _Request:
    """One invocation on its way through a node."""

    def __init__(self, life: Life, function: Function, limit_s: float, accelerator: str) -> None:
        self.life = life
        self.function = function
        self.reply = Reply(NOTHING, 0)
        self._limit_s = limit_s
        self._accelerator = accelerator
        self._watch = Stopwatch()
        self._phases = Phases()

    def restarted(self) -> Self:
        """Forget the time until now: what was done ahead is not part of the latency."""
        self._watch, self._phases = Stopwatch(), Phases()
        return self

    async def booted(self, arguments: bytes) -> Invocation:
        """Start a UC from the program, import, run."""
        context = await self.life.node.boot()
        self._phases = replace(self._phases, restore=self._watch.lap())
        reply = await self._on(context, self.life.node.load(context, self.function, self._limit_s))
        self._phases = replace(self._phases, import_=self._watch.lap())
        if reply.error is None:
            reply = await self._run(context, arguments)
        self.life.node.end_soon(context)
        return self.answer(Path.BOOTED, reply)

    async def bring_in(self) -> int | None:
        """Take the function's snapshot in from the store; return its number, if there is one."""
        if self.function.id not in self.life.known:
            return None
        with self._first():
            number = await self.life.bring_in(self.function)
        self._phases = replace(self._phases, restore=self._watch.lap())
        return number

    @contextlib.contextmanager
    def _first(self) -> Iterator[None]:
        """Have other calls of the function wait for what this one makes."""
        importing, name = self.life.importing, self.function.id
        mine = importing.setdefault(name, asyncio.Event())
        try:
            yield
        finally:
            mine.set()
            if importing.get(name) is mine:
                del importing[name]

    async def cold(self, arguments: bytes | None) -> Invocation:
        """Deploy from the base, import, capture, run with `arguments`; None leaves the run out."""
        life = self.life
        with self._first():
            loaded = await self._deployed(
                life.base, lambda context: life.node.load(context, self.function, self._limit_s)
            )
            self._phases = self._with_deploy(loaded, import_=self._watch.lap())
            if loaded.error is not None:
                self._settle(loaded)
                return self.answer(Path.COLD, loaded)
            context = loaded.context
            capture = life.node.begin_capture(context)
            # Sent along with the order to capture: the kernel takes them one after the other.
            running = (
                None if arguments is None else life.node.invoke(context, arguments, self._limit_s)
            )
            captured = await self._captured(context, capture)
            self._phases = replace(self._phases, capture=self._watch.lap())
            self._keep_snapshot(captured)
        reply = loaded
        if running is not None:
            reply = await self._on(context, running)
            self._phases = replace(self._phases, run=self._watch.lap())
        self._settle(reply)
        return self.answer(Path.COLD, reply)

    async def warm(self, snapshot: int, arguments: bytes) -> Invocation:
        """Deploy from the function's snapshot and run, in one request."""
        node = self.life.node
        reply = await self._deployed(
            snapshot, lambda context: node.invoke(context, arguments, self._limit_s)
        )
        self._phases = self._with_deploy(reply, run=self._watch.lap())
        self._settle(reply)
        return self.answer(Path.WARM, reply)

    async def hot(self, context: int, arguments: bytes) -> Invocation:
        """Run in an idle UC."""
        reply = await self._run(context, arguments)
        self._settle(reply)
        return self.answer(Path.HOT, reply)

    def answer(self, path: Path, reply: Reply) -> Invocation:
        """Return the invocation's outcome."""
        self.reply = reply
        latency = self._watch.total
        known = self.life.known.get(self.function.id)
        result, error = None, reply.error
        if isinstance(reply.answer, Frame):
            try:
                # An import alone has no result: LOADED's payload is an empty object.
                result = reply.answer.json()
            except ProtocolError as wrong:
                error = InvocationError("protocol", wrong.message)
        return Invocation(
            path=path,
            latency_ms=latency,
            phases=self._phases,
            accelerator=self._accelerator,
            result=result,
            error=error,
            stdout=reply.stdout.text,
            stderr=reply.stderr.text,
            stdout_truncated=reply.stdout.truncated,
            stderr_truncated=reply.stderr.truncated,
            snapshot=None if known is None else known.id,
            isolation="uc",
        )

    def _with_deploy(self, reply: Reply, **phase: float) -> Phases:
        """Return the phases and one more, without the deploy in it, which stands for itself."""
        ((name, whole),) = phase.items()
        told = reply.answer.deploy_ns / 1e6 if isinstance(reply.answer, Frame) else 0.0
        # By the guest's clock, and its word: it cannot be more than all of it took.
        deploy = min(told, whole)
        rest = {name: whole - deploy}
        return replace(self._phases, deploy=deploy or None, **rest)

    async def _run(self, context: int, arguments: bytes) -> Reply:
        running = self.life.node.invoke(context, arguments, self._limit_s)
        reply = await self._on(context, running)
        self._phases = replace(self._phases, run=self._watch.lap())
        return reply

    async def _on(self, context: int, request: asyncio.Future[Reply]) -> Reply:
        """Await a request to a UC; one that is cancelled ends the UC, which may be in any state."""
        try:
            return await request
        except asyncio.CancelledError:
            self.life.node.end_soon(context)
            raise

    async def _deployed(
        self, snapshot: int, request: Callable[[int], asyncio.Future[Reply]]
    ) -> Reply:
        """Make a request that deploys; when memory is short, free something and try once more."""
        node = self.life.node
        context = SNAPSHOT | snapshot
        reply = await node.deployed(request(context))
        error = reply.error
        short = error is not None and error.kind == "memory-limit" and reply.context == 0
        if short and await self.life.free_something(snapshot):
            return await node.deployed(request(context))
        return reply

    async def _captured(self, context: int, capture: asyncio.Future[Reply]) -> Reply:
        """Await a capture; if that is cancelled, both the UC and the snapshot go."""
        try:
            return await asyncio.shield(capture)
        except asyncio.CancelledError:
            capture.add_done_callback(self.life.drop_captured)
            self.life.node.end_soon(context)
            raise

    def _keep_snapshot(self, captured: Reply) -> None:
        if captured.error is None:
            number = self.life.node.captured(captured).snapshot
            self.life.keep_captured(self.function, number)
        else:
            logger.warning(
                "%s was not captured: %s: %s",
                *(self.function.name, captured.error.kind, captured.error.message),
            )

    def _settle(self, reply: Reply) -> None:
        """Keep the UC for the next request, or end it."""
        if reply.context == 0:
            return
        if reply.error is None or reply.error.kind in HARMLESS:
            self.life.keep_idle(self.function.id, reply.context)
        else:
            self.life.node.end_soon(reply.context)
