"""Many requests at a time over one console of a node that is not trusted.

A node's kernel writes the headers of what its unikernel contexts (UCs) send, but the id in them is
the UC's word. An answer therefore counts only if it comes from the context that was asked or, for a
context deployed by the request itself, from one that nobody else is known to be.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from orchestrator.answers import (
    MAX_LOG_LINES,
    Link,
    Output,
    Sink,
    last_words,
    log_line,
    told_error,
)
from orchestrator.errors import ProtocolError
from orchestrator.invocation import InvocationError
from orchestrator.wire import SNAPSHOT, Decoder, Frame, MessageType

MAX_ABANDONED = 4096
"""Requests given up whose late answers are still told from strays."""
SILENT = Output("", False)


@dataclass(frozen=True)
class Reply:
    """What came of a request. `context` is the UC that answered; 0 if none did.

    `captured` is the CAPTURED of a UC that had itself captured on the way to its snapshot point.
    """

    answer: Frame | InvocationError
    context: int
    stdout: Output = SILENT
    stderr: Output = SILENT
    captured: Frame | None = None

    @property
    def error(self) -> InvocationError | None:
        """What went wrong, if anything did."""
        return self.answer if isinstance(self.answer, InvocationError) else None


class _Waiting:
    """A request under way."""

    __slots__ = (
        *("answers", "bound", "captured", "context"),
        *("future", "number", "stderr", "stdout", "timer"),
    )

    def __init__(
        self,
        number: int,
        answers: Collection[MessageType],
        context: int,
        future: asyncio.Future[Reply],
        bound: bool,
    ) -> None:
        self.number = number
        self.answers = answers
        self.captured: Frame | None = None
        self.context = context
        self.bound = bound
        self.future = future
        self.timer: asyncio.TimerHandle | None = None
        self.stdout: Sink | None = None
        self.stderr: Sink | None = None

    def write(self, kind: MessageType, data: bytes) -> None:
        if kind is MessageType.STDOUT:
            self.stdout = self.stdout or Sink()
            self.stdout.write(data)
        else:
            self.stderr = self.stderr or Sink()
            self.stderr.write(data)

    def finish(self, answer: Frame | InvocationError) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.future.done():
            return
        self.future.set_result(
            Reply(
                answer,
                0 if self.context & SNAPSHOT else self.context,
                SILENT if self.stdout is None else self.stdout.output(),
                SILENT if self.stderr is None else self.stderr.output(),
                self.captured,
            )
        )


class Multiplexer:
    """Routes a node's frames to the requests they answer; nothing it keeps is without bound.

    A frame that answers nothing is counted in `strays` and dropped: a UC that sends such frames
    must not harm its neighbours. A stream without known frame borders is the kernel's fault, and
    ends the conversation: then, and when the node ends, every request gets `failure`.

    Args:
        link: the machine. The multiplexer does not own it.
        ended: called when a UC ended that served nothing, with its context and the reason.
        orphaned: called with a UC that was deployed for a request that nobody waits for any more.
        unasked: called with the CAPTURED of a snapshot that nobody asked for.
    """

    def __init__(
        self,
        link: Link,
        ended: Callable[[int, InvocationError], None],
        orphaned: Callable[[int], None],
        unasked: Callable[[Frame], None] = lambda frame: None,
    ) -> None:
        self.failure: InvocationError | None = None
        """Why no request can be made any more."""
        self.strays = 0
        """Frames that answered nothing."""
        self.log: deque[str] = deque(maxlen=MAX_LOG_LINES)
        """The kernel's last log lines."""
        self._link = link
        self._ended = ended
        self._orphaned = orphaned
        self._unasked = unasked
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._abandoned: OrderedDict[int, _Waiting] = OrderedDict()
        self._booting: _Waiting | None = None
        self._live: set[int] = set()
        self._breakpoints: dict[int, asyncio.Future[Reply]] = {}
        self._outbox: deque[bytes] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._reader = asyncio.create_task(self._read())

    @property
    def waiting(self) -> int:
        """Requests under way."""
        return len(self._waiting)

    def begin(
        self,
        kind: MessageType,
        *answers: MessageType,
        context: int = 0,
        payload: bytes = b"{}",
        limit_s: float = 0.0,
        deadline_s: float,
        rights: bytes = b"",
    ) -> asyncio.Future[Reply]:
        """Send a request, after those begun before it, and return what will hold its reply.

        `rights` says what it may reach, as ALLOW has it; nothing by default.
        The future never raises by itself. It may be cancelled; whatever comes later is then no
        stray, and a UC that was deployed for it is orphaned. Raises ProtocolError for what no frame
        can carry.
        """
        number = next(self._numbers)
        frame = Frame(kind, payload, number, context, math.ceil(limit_s * 1000)).encode()
        waiting = self._enter(answers, context, deadline_s, number, bound=not context & SNAPSHOT)
        if self.failure is None:
            self._waiting[number] = waiting
            if rights:
                self._post(Frame(MessageType.ALLOW, rights, number).encode())
            self._post(frame)
        return waiting.future

    def begin_boot(self, deadline_s: float) -> asyncio.Future[Reply]:
        """Start a UC from the program; READY, which carries no id, is the answer. One at a time."""
        assert self._booting is None
        number = next(self._numbers)
        waiting = self._enter((MessageType.READY,), SNAPSHOT, deadline_s, number, bound=False)
        if self.failure is None:
            self._booting = self._waiting[number] = waiting
            self._post(Frame(MessageType.BOOT, b"{}", number).encode())
        return waiting.future

    def at_breakpoint(self, context: int) -> asyncio.Future[Reply]:
        """Return what will hold the capture of a UC that was told to break; the last one counts."""
        self._pass_breakpoint(context, "Another breakpoint was set.")
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self.failure is not None:
            future.set_result(Reply(self.failure, 0))
        else:
            self._breakpoints[context] = future
        return future

    def notify(self, frame: Frame) -> None:
        """Send a frame that has no answer."""
        if self.failure is None:
            self._post(frame.encode())

    def forget(self, context: int) -> None:
        """Say that a UC is gone."""
        self._live.discard(context)
        self._pass_breakpoint(context, "The context ended.")

    def fail(self, failure: InvocationError) -> None:
        """Give every request under way, and every later one, this answer."""
        if self.failure is None:
            self.failure = failure
        for waiting in [*self._waiting.values()]:
            waiting.finish(self.failure)
        for context in [*self._breakpoints]:
            self._pass_breakpoint(context, self.failure.message)
        self._outbox.clear()

    async def close(self) -> None:
        """Stop reading and sending; requests under way fail."""
        self.fail(InvocationError("node-died", "The node was ended."))
        tasks = [task for task in (self._reader, self._sender) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _enter(
        self,
        answers: Collection[MessageType],
        context: int,
        deadline_s: float,
        number: int,
        bound: bool,
    ) -> _Waiting:
        future: asyncio.Future[Reply] = self._loop.create_future()
        waiting = _Waiting(number, answers, context, future, bound)
        if self.failure is not None:
            waiting.finish(self.failure)
            return waiting

        def expire() -> None:
            self._abandon(number, waiting)
            waiting.finish(
                InvocationError("timeout", f"The guest gave no answer within {deadline_s:g} s.")
            )

        def leave(future: asyncio.Future[Reply]) -> None:
            if waiting.timer is not None:
                waiting.timer.cancel()
            if future.cancelled():
                self._abandon(number, waiting)
                if not bound and waiting.bound:
                    # What it said has told which UC was deployed for this.
                    self._orphaned(waiting.context)
                if waiting.captured is not None:
                    self._unasked(waiting.captured)
            self._leave(waiting)

        waiting.timer = self._loop.call_later(deadline_s, expire)
        future.add_done_callback(leave)
        return waiting

    def _leave(self, waiting: _Waiting) -> None:
        self._waiting.pop(waiting.number, None)
        if self._booting is waiting:
            self._booting = None

    def _abandon(self, number: int, waiting: _Waiting) -> None:
        self._abandoned[number] = waiting
        while len(self._abandoned) > MAX_ABANDONED:
            self._abandoned.popitem(last=False)

    def _post(self, frame: bytes) -> None:
        self._outbox.append(frame)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        # One task sends whole frames in order, so a cancelled request cannot cut one off.
        try:
            while self._outbox:
                # Together: each write interrupts the guest.
                waiting = b"".join(self._outbox)
                self._outbox.clear()
                await self._link.send(waiting)
        except OSError:
            # The reader sees the same end, and says why.
            self._outbox.clear()

    async def _read(self) -> None:
        try:
            while data := await self._link.receive():
                for frame in self._decoder.feed(data):
                    self._route(frame)
        except ProtocolError as error:
            self.fail(InvocationError("protocol", error.message))
            return
        except OSError:
            pass
        self.fail(await last_words(self._link))

    def _route(self, frame: Frame) -> None:
        kind = frame.type
        if kind is MessageType.LOG:
            self.log.append(log_line(frame))
        elif kind is MessageType.ENDED:
            self._context_ended(frame)
        elif kind is MessageType.CAPTURED and self._broke(frame):
            pass
        elif kind is MessageType.READY:
            waiting = self._booting
            if waiting is None or frame.id or not self._accepts(waiting, frame.context):
                self.strays += 1
                return
            self._settle(waiting, frame)
        else:
            waiting = self._waiting.get(frame.id)
            if waiting is None:
                self._late(frame)
            elif not self._accepts(waiting, frame.context):
                self.strays += 1
            elif kind in (MessageType.STDOUT, MessageType.STDERR):
                waiting.write(kind, frame.payload)
            elif kind is MessageType.CAPTURED and kind not in waiting.answers:
                if MessageType.POINT in waiting.answers and waiting.captured is None:
                    waiting.captured = frame
                else:
                    self._unasked(frame)
            else:
                self._settle(waiting, frame)

    def _broke(self, frame: Frame) -> bool:
        """Whether this is the capture at a breakpoint: no order to capture is answered by it."""
        waiting = self._waiting.get(frame.id)
        if waiting is not None and MessageType.CAPTURED in waiting.answers:
            return False
        future = self._breakpoints.pop(frame.context, None)
        if future is None or future.done():
            return False
        future.set_result(Reply(frame, frame.context))
        return True

    def _pass_breakpoint(self, context: int, reason: str) -> None:
        future = self._breakpoints.pop(context, None)
        if future is not None and not future.done():
            future.set_result(Reply(InvocationError("node-died", reason), 0))

    def _accepts(self, waiting: _Waiting, context: int) -> bool:
        if context == waiting.context:
            return True
        if waiting.bound or context & SNAPSHOT or context in self._live:
            return False
        if context == 0:
            return waiting is self._booting
        waiting.context = context
        waiting.bound = True
        self._live.add(context)
        return True

    def _settle(self, waiting: _Waiting, frame: Frame) -> None:
        self._leave(waiting)
        try:
            if frame.type is MessageType.ERROR:
                waiting.finish(told_error(frame))
            elif frame.type in waiting.answers:
                waiting.finish(frame)
            else:
                due = " or ".join(answer.name for answer in waiting.answers)
                raise ProtocolError(
                    f"The guest sent {frame.type.name} where {due} was due. "
                    "The context is faulty and was ended."
                )
        except ProtocolError as error:
            waiting.finish(InvocationError("protocol", error.message))

    def _late(self, frame: Frame) -> None:
        if frame.type is MessageType.CAPTURED:
            self._unasked(frame)
        abandoned = self._abandoned.get(frame.id)
        if abandoned is None:
            self.strays += 1
        elif not abandoned.bound and self._accepts(abandoned, frame.context) and abandoned.bound:
            self._orphaned(frame.context)

    def _context_ended(self, frame: Frame) -> None:
        try:
            reason = told_error(frame)
        except ProtocolError as error:
            reason = InvocationError("protocol", error.message)
        # Only a UC that was booted and never ready ends with an id: that of its BOOT.
        if self._booting is not None and frame.id == self._booting.number:
            self._booting.finish(reason)
            return
        self.forget(frame.context)
        self._ended(frame.context, reason)
