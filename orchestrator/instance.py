"""A guest that serves invocations, spoken to in frames and not trusted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.errors import MachineError, ProtocolError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.wire import MAX_PAYLOAD, SEED_SIZE, Decoder, Frame, MessageType, sync_payload

OUTPUT_LIMIT = 1 << 20
"""Bytes of stdout and of stderr that are kept of one invocation."""
GRACE_S = 5.0
"""How much longer than the guest's own limit the host waits, so that the guest's word is heard."""
MAX_LOG_LINES = 200
LOG_LINE_LIMIT = 4096
KIND_LIMIT = 64
LAST_WORDS = 40
"""Lines of a dead guest's log that go into the error."""
ERROR_TEXT_LIMIT = 64 * 1024

_requests = itertools.count(1)
_generations = itertools.count(1)


class Link(Protocol):
    """What an instance needs of a machine."""

    async def send(self, data: bytes) -> None:
        """Write to the guest's console."""

    async def receive(self, limit: int = ...) -> bytes:
        """Return what the guest wrote; b"" once it ended."""

    async def wait(self) -> int:
        """Wait until the machine has ended by itself."""

    def error(self, message: str) -> MachineError:
        """Return an error that carries the machine's command and last words."""


@dataclass(frozen=True)
class Output:
    """What a function wrote to one stream, as far as it is kept."""

    text: str
    truncated: bool


class _Sink:
    """Keeps the first `OUTPUT_LIMIT` bytes of a stream."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._truncated = False

    def write(self, data: bytes) -> None:
        room = OUTPUT_LIMIT - len(self._kept)
        self._kept += data[:room]
        self._truncated |= len(data) > room

    def output(self) -> Output:
        return Output(self._kept.decode("utf-8", "replace"), self._truncated)


class Instance:
    """One guest and its stream of frames; one request at a time.

    The guest may be hostile: every wait has a deadline, everything kept is bounded, and a frame
    that is out of place ends the conversation. After `failed` is set it must be given up.

    Args:
        link: the machine. The instance does not own it.
    """

    def __init__(self, link: Link) -> None:
        self.failed = False
        """Whether the conversation broke: the machine must not be used any more."""
        self.log: deque[str] = deque(maxlen=MAX_LOG_LINES)
        """The kernel's last log lines."""
        self._link = link
        self._decoder = Decoder()
        self._arrived: deque[Frame] = deque()
        self._stdout = _Sink()
        self._stderr = _Sink()

    @property
    def stdout(self) -> Output:
        """What the last function loaded or invoked wrote to its standard output."""
        return self._stdout.output()

    @property
    def stderr(self) -> Output:
        """What the last function loaded or invoked wrote to its standard error."""
        return self._stderr.output()

    async def synchronise(self) -> None:
        """Give the guest true time and fresh randomness; due first after every boot or restore."""
        payload = sync_payload(time.time_ns(), next(_generations), os.urandom(SEED_SIZE))
        await self._send(Frame(MessageType.SYNC, payload))

    async def ready(self, deadline_s: float) -> dict[str, Any]:
        """Wait for the runner; return what it says of itself. Raises MachineError."""
        outcome = await self._converse(None, MessageType.READY, 0, deadline_s)
        if isinstance(outcome, InvocationError):
            raise self._link.error(f"The guest did not become ready: {outcome.message}")
        return outcome

    async def optimise(self, deadline_s: float) -> None:
        """Have the runner do anticipatory optimisation. Raises MachineError."""
        outcome = await self._request(MessageType.OPTIMISE, b"{}", MessageType.DONE, 0, deadline_s)
        if isinstance(outcome, InvocationError):
            raise self._link.error(f"The guest could not be optimised: {outcome.message}")

    async def load(self, function: Function, limit_s: float) -> InvocationError | None:
        """Import a function; return what went wrong, if anything did."""
        outcome = await self._request(
            *(MessageType.LOAD, function.load_payload, MessageType.LOADED),
            *(limit_s, limit_s + GRACE_S),
        )
        return outcome if isinstance(outcome, InvocationError) else None

    async def invoke(
        self, arguments: Mapping[str, Any], limit_s: float
    ) -> dict[str, Any] | InvocationError:
        """Run the loaded function; return its result or what went wrong."""
        try:
            payload = json.dumps(arguments, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            return InvocationError("bad-request", f"The arguments are no JSON object: {error}.")
        if len(payload) > MAX_PAYLOAD:
            return InvocationError(
                "args-too-large",
                f"The arguments are {len(payload)} bytes of JSON; at most {MAX_PAYLOAD} fit.",
            )
        return await self._request(
            MessageType.INVOKE, payload, MessageType.RESULT, limit_s, limit_s + GRACE_S
        )

    async def unload(self, deadline_s: float) -> None:
        """Have the runner forget the function. Raises MachineError."""
        outcome = await self._request(MessageType.UNLOAD, b"", MessageType.DONE, 0, deadline_s)
        if isinstance(outcome, InvocationError):
            raise self._link.error(f"The guest could not unload: {outcome.message}")

    async def status(self, deadline_s: float) -> dict[str, Any]:
        """Return the kernel's account of itself. Raises MachineError."""
        outcome = await self._request(
            MessageType.STATUS_REQUEST, b"", MessageType.STATUS, 0, deadline_s
        )
        if isinstance(outcome, InvocationError):
            raise self._link.error(f"The guest gave no status: {outcome.message}")
        return outcome

    async def shut_down(self) -> None:
        """Ask the kernel to power off."""
        await self._send(Frame(MessageType.SHUTDOWN))

    async def _request(
        self,
        kind: MessageType,
        payload: bytes,
        answer: MessageType,
        limit_s: float,
        deadline_s: float,
    ) -> dict[str, Any] | InvocationError:
        """Send one request and wait for its answer."""
        number = next(_requests)
        self._stdout, self._stderr = _Sink(), _Sink()
        frame = Frame(kind, payload, id=number, limit_ms=math.ceil(limit_s * 1000))
        return await self._converse(frame, answer, number, deadline_s)

    async def _converse(
        self, request: Frame | None, answer: MessageType, number: int, deadline_s: float
    ) -> dict[str, Any] | InvocationError:
        """Send a frame and wait for the answer to it, whatever the guest does meanwhile."""
        try:
            async with asyncio.timeout(deadline_s):
                if request is not None:
                    await self._send(request)
                return await self._answer(answer, number)
        except TimeoutError:
            self.failed = True
            return InvocationError("timeout", f"The guest gave no answer within {deadline_s:g} s.")
        except ProtocolError as error:
            self.failed = True
            return InvocationError("protocol", error.message)
        except (EOFError, OSError):
            self.failed = True
            return await self._died()

    async def _answer(self, answer: MessageType, number: int) -> dict[str, Any] | InvocationError:
        while True:
            frame = await self._next()
            if frame.type is MessageType.LOG:
                self.log.append(frame.payload[:LOG_LINE_LIMIT].decode("utf-8", "replace"))
            elif frame.type in (MessageType.STDOUT, MessageType.STDERR):
                # Output of another request is late: the request it belongs to was answered.
                if frame.id == number:
                    sink = self._stdout if frame.type is MessageType.STDOUT else self._stderr
                    sink.write(frame.payload)
            elif frame.type is MessageType.ENDED:
                self.failed = True
                return _told_error(frame)
            elif frame.id != number:
                raise ProtocolError(
                    f"The guest answered request {frame.id} while {number} was asked. "
                    "It is faulty: end it and start another."
                )
            elif frame.type is MessageType.ERROR:
                return _told_error(frame)
            elif frame.type is answer:
                return frame.json()
            else:
                raise ProtocolError(
                    f"The guest sent {frame.type.name} where {answer.name} was due. "
                    "It is faulty: end it and start another."
                )

    async def _next(self) -> Frame:
        while not self._arrived:
            data = await self._link.receive()
            if not data:
                raise EOFError
            self._arrived.extend(self._decoder.feed(data))
        return self._arrived.popleft()

    async def _died(self) -> InvocationError:
        """Say how the machine ended; its console is closed, so it is ending at least."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._link.wait()
        error = self._link.error("The guest ended before it answered")
        last = "\n".join(error.log_tail.splitlines()[-LAST_WORDS:])
        return InvocationError("node-died", error.message, last[-ERROR_TEXT_LIMIT:] or None)

    async def _send(self, frame: Frame) -> None:
        await self._link.send(frame.encode())


def _told_error(frame: Frame) -> InvocationError:
    """Read what the guest says went wrong; whatever it says, the outcome is short text."""
    told = frame.json()
    kind, message, traceback = (told.get(name) for name in ("kind", "message", "traceback"))
    if not isinstance(kind, str) or not isinstance(message, str):
        raise ProtocolError(
            f"The guest sent {frame.type.name} without kind and message. "
            "It is faulty: end it and start another."
        )
    told_traceback = traceback[:ERROR_TEXT_LIMIT] if isinstance(traceback, str) else None
    return InvocationError(kind[:KIND_LIMIT], message[:ERROR_TEXT_LIMIT], told_traceback)
