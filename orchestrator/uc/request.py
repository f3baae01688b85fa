"""One invocation on its way through a node: what is deployed, asked, captured and kept for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

from orchestrator.answers import Output
from orchestrator.errors import ProtocolError
from orchestrator.function import Function
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
from orchestrator.points import ASK, Named, Names, at_point, split, told_names
from orchestrator.stopwatch import Stopwatch
from orchestrator.uc.life import Life
from orchestrator.uc.multiplexer import Reply
from orchestrator.uc.room import Place
from orchestrator.wire import SNAPSHOT, Frame, MessageType

logger = logging.getLogger(__name__)

HARMLESS = frozenset({"exception", "bad-result", "result-too-large"})
"""Kinds of failure after which a UC can serve its function's next request."""
GONE = "bad-request"
"""What the kernel says of a request to a UC that has ended, or from a snapshot that is evicted."""
SHORTEST_LIMIT_S = 0.001
NOTHING = InvocationError("protocol", "no request was made")


class Request:
    """One invocation of `function` with `args`, whose JSON is `payload`, in a life of a node.

    `rights` says what it may reach, as ALLOW has it.
    """

    def __init__(
        self,
        life: Life,
        function: Function,
        args: Mapping[str, Any],
        payload: bytes,
        limit_s: float,
        accelerator: str,
        rights: bytes,
    ) -> None:
        self.life = life
        self.function = function
        self.reply = Reply(NOTHING, 0)
        self.place: Place
        """In the node; there once it is claimed."""
        self._args = args
        self._payload = payload
        self._limit_s = limit_s
        self._accelerator = accelerator
        self._rights = rights
        self._watch = Stopwatch()
        self._phases = Phases()

    def claim(self, path: Path) -> Place:
        """Return a place in the node's memory, or one in the queue for it, to be released.

        Raises NodeFullError.
        """
        self.place = self.life.room.claim(self.function, lambda: self._may_be_hot(path))
        return self.place

    async def wait(self) -> bool:
        """Wait for one's turn; return False if the node ended before. Raises NodeFullError."""
        begins = await self.place.wait()
        self._phases = replace(self._phases, wait=self._watch.lap())
        return begins

    def _may_be_hot(self, path: Path) -> bool:
        arguments = self.life.arguments
        pointed = arguments.enabled and arguments.points.names(self.function) is not None
        return path is Path.HOT or (path is Path.AUTO and not pointed)

    def restarted(self) -> Self:
        """Forget the time until now: what was done ahead is not part of the latency."""
        self._watch, self._phases = Stopwatch(), Phases()
        return self

    @property
    def unknown(self) -> bool:
        """Whether the node did not know the context or snapshot that was asked for."""
        error = self.reply.error
        return error is not None and error.kind == GONE and self.reply.context == 0

    def named(self) -> Named | None:
        """Return the arguments split at the function's point; None without a point that counts."""
        names = self.life.arguments.points.names(self.function)
        if names is None or not self.life.arguments.enabled:
            return None
        return split(self.function, names, self._args)

    async def booted(self) -> Invocation:
        """Start a UC from the program, import, run."""
        context = await self.life.node.boot()
        self._phases = replace(self._phases, restore=self._watch.lap())
        reply = await self._on(
            context, self.life.node.load(context, self.function, self._limit_s, self._rights)
        )
        self._phases = replace(self._phases, import_=self._watch.lap())
        if reply.error is None:
            reply = await self._run(context)
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

    async def cold(self, run: bool = True, to_point: bool = False) -> Invocation:
        """Deploy from the base, import, capture, and run, unless that is not wanted.

        With `to_point` a function with a snapshot point is captured there too.
        """
        node = self.life.node
        reply: Reply
        with contextlib.ExitStack() as taking:
            with self._first():
                reply = await self._deployed(
                    self.life.base,
                    lambda context: node.load(context, self.function, self._limit_s, self._rights),
                )
                self._phases = self._with_deploy(reply, import_=self._watch.lap())
                if reply.error is not None:
                    self._settle(reply)
                    return self.answer(Path.COLD, reply)
                if self.function.mentions_point:
                    self._learn(reply, "point")
                context = reply.context
                capture = node.begin_capture(context)
                named = self.named() if run and to_point else None
                # Sent along with the order to capture: the kernel takes them one after the other.
                running: asyncio.Future[Reply] | None = None
                if named is not None:
                    taking.enter_context(self.life.arguments.taking(self.function, named))
                    running = node.begin(context, named.begin, self._limit_s, self._rights)
                elif run:
                    running = node.invoke(context, self._payload, self._limit_s, self._rights)
                captured = await self._captured(context, capture)
                self._phases = replace(self._phases, capture=self._watch.lap())
                self._keep_snapshot(captured)
            if running is not None:
                reply = await self._on(context, running)
            if named is not None:
                self._keep_argument(named, reply)
        if named is not None:
            reply = await self._past_point(named, reply)
        if running is not None:
            self._phases = replace(self._phases, run=self._watch.lap())
        self._settle(reply, keep=named is None)
        return self.answer(Path.COLD, reply)

    async def warm(self, snapshot: int) -> Invocation:
        """Deploy from the function's snapshot and run, in one request."""
        node = self.life.node
        reply = await self._deployed(
            snapshot,
            lambda context: node.invoke(context, self._payload, self._limit_s, self._rights),
        )
        self._phases = self._with_deploy(reply, run=self._watch.lap())
        self._settle(reply)
        return self.answer(Path.WARM, reply)

    async def to_point(self, snapshot: int, named: Named) -> Invocation:
        """Deploy from the function's snapshot, have it captured at its point, and go on there."""
        begun = await self._begun(snapshot, named)
        reply = await self._past_point(named, begun)
        self._phases = self._with_deploy(begun, run=self._watch.lap())
        self._settle(reply, keep=False)
        return self.answer(Path.WARM, reply)

    async def prime(self, snapshot: int, named: Named) -> Reply:
        """Have the function captured at its point, and return what came of it; nothing goes on."""
        begun = await self._begun(snapshot, named)
        self._settle(begun, keep=False)
        return begun

    async def ask(self, snapshot: int) -> None:
        """Learn the names of the point of a function that came from the store."""
        node = self.life.node
        reply = await self._deployed(
            snapshot, lambda context: node.begin(context, ASK, self._limit_s, self._rights)
        )
        self._learn(reply, "names")
        self._settle(reply, keep=False)

    async def resumed(self, number: int, named: Named) -> Invocation:
        """Deploy from the snapshot at the function's point and go on there."""
        node = self.life.node
        reply = await self._deployed(
            number, lambda context: node.rest(context, named.rest, self._limit_s, self._rights)
        )
        self._phases = self._with_deploy(reply, run=self._watch.lap())
        # A context that is past its point would have to do again what the snapshot spares.
        self._settle(reply, keep=False)
        answer = self.answer(Path.RESUMED, reply)
        return replace(answer, snapshot=self.life.arguments.id_of(self.function, named))

    async def hot(self, context: int) -> Invocation:
        """Run in an idle UC."""
        reply = await self._run(context)
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
                # An import alone has no result: LOADED's payload is an object as well.
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

    async def _begun(self, snapshot: int, named: Named) -> Reply:
        """Deploy from the function's snapshot, which no request has touched, and go to the point.

        A UC that has served others would carry what they left into the snapshot.
        """
        node = self.life.node
        with self.life.arguments.taking(self.function, named):
            begun = await self._deployed(
                snapshot,
                lambda context: node.begin(context, named.begin, self._limit_s, self._rights),
            )
            self._keep_argument(named, begun)
        return begun

    async def _past_point(self, named: Named, begun: Reply) -> Reply:
        """Go on after BEGIN, unless that was all."""
        if not isinstance(begun.answer, Frame) or begun.answer.type is not MessageType.POINT:
            return begun
        node, context = self.life.node, begun.context
        if at_point(begun.answer):
            left = max(SHORTEST_LIMIT_S, self._limit_s - self._watch.total / 1000)
            reply = await self._on(context, node.rest(context, named.rest, left, self._rights))
        else:
            self._learn(begun, "names")
            reply = await self._on(
                context, node.invoke(context, self._payload, self._limit_s, self._rights)
            )
        return replace(
            reply,
            stdout=_joined(begun.stdout, reply.stdout),
            stderr=_joined(begun.stderr, reply.stderr),
        )

    async def _run(self, context: int) -> Reply:
        running = self.life.node.invoke(context, self._payload, self._limit_s, self._rights)
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
        """Make a request that deploys, again and again while the node has no memory for that.

        Only what no context answered is made again: nothing of it has begun.
        """
        self.place.snapshot = snapshot
        while True:
            reply = await self.life.node.deployed(request(SNAPSHOT | snapshot))
            error = reply.error
            if error is None or error.kind != "memory-limit" or reply.context != 0:
                return reply
            await self.place.refused()

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

    def _keep_argument(self, named: Named, begun: Reply) -> None:
        """Keep the snapshot that a UC had taken of itself, if it then said that it is at its point.

        Whatever else it did, it was captured with no more than the named arguments in it.
        """
        there = at_point(begun.answer)
        if begun.captured is None:
            if there:
                logger.warning("%s was not captured at its point", self.function.name)
        elif there:
            captured = self.life.node.captured(begun.captured)
            self.life.arguments.keep(self.function, named, captured)
        else:
            self.life.drop(begun.captured)

    def _learn(self, reply: Reply, field: str) -> None:
        names: Names | None = None
        if isinstance(reply.answer, Frame):
            with contextlib.suppress(ProtocolError):
                names = told_names(reply.answer.json().get(field))
        self.life.arguments.points.learn(self.function.id, names)

    def _settle(self, reply: Reply, keep: bool = True) -> None:
        """Keep the UC for the next request, or end it."""
        if reply.context == 0:
            return
        if keep and (reply.error is None or reply.error.kind in HARMLESS):
            self.life.keep_idle(self.function.id, reply.context)
        else:
            self.life.node.end_soon(reply.context)
            self.life.look_after_memory()


def _joined(first: Output, then: Output) -> Output:
    return Output(first.text + then.text, first.truncated or then.truncated)
