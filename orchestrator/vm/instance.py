"""A guest that serves invocations, spoken to in frames and not trusted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.answers import (
    GRACE_S,
    MAX_LOG_LINES,
    Link,
    Output,
    Sink,
    encode_arguments,
    last_words,
    log_line,
    told_error,
)
from orchestrator.anticipation import Anticipation
from orchestrator.errors import ProtocolError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.points import Names, told_names
from orchestrator.rehearsal import TRACELESS
from orchestrator.wire import SEED_SIZE, Decoder, Frame, MessageType, sync_payload

NEED_RIGHTS = (MessageType.LOAD, MessageType.INVOKE, MessageType.BEGIN, MessageType.REST)

_requests = itertools.count(1)
_generations = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What a guest answered: the frame's type, and the JSON object in it."""

    type: MessageType
    content: dict[str, Any]


class Instance:
    """One guest and its stream of frames; one request at a time.

    The guest may be hostile: every wait has a deadline, everything kept is bounded, and a frame
    that is out of place ends the conversation; the guest must then be given up.

    Args:
        link: the machine. The instance does not own it.
    """

    def __init__(self, link: Link) -> None:
        self.rights = b""
        """What the functions loaded and invoked may reach, as ALLOW has it."""
        self.log: deque[str] = deque(maxlen=MAX_LOG_LINES)
        """The kernel's last log lines."""
        self._link = link
        self._decoder = Decoder()
        self._arrived: deque[Frame] = deque()
        self.point: Names | None = None
        """The names of the snapshot point of the function loaded last; None if it has none."""
        self._stdout = Sink()
        self._stderr = Sink()

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
        # There is no answer to it; of a machine that is gone, the request that follows tells why.
        with contextlib.suppress(OSError):
            await self._send(Frame(MessageType.SYNC, payload))

    async def ready(self, deadline_s: float) -> dict[str, Any]:
        """Wait for the runner; return what it says of itself. Raises MachineError."""
        outcome = await self._converse(None, (MessageType.READY,), 0, deadline_s)
        if isinstance(outcome, InvocationError):
            raise self._link.error(f"The guest did not become ready: {outcome.message}")
        return outcome.content

    async def optimise(self, deadline_s: float, step: Anticipation = Anticipation.FULL) -> None:
        """Have the runner do anticipatory optimisation up to `step`. Raises MachineError."""
        outcome = await self._request(
            MessageType.OPTIMISE, step.request, MessageType.DONE, 0, deadline_s
        )
        if isinstance(outcome, InvocationError):
            raise self._link.error(f"The guest could not be optimised: {outcome.message}")

    async def load(self, function: Function, limit_s: float) -> InvocationError | None:
        """Import a function; return what went wrong, if anything did."""
        outcome = await self._request(
            *(MessageType.LOAD, function.load_payload, MessageType.LOADED),
            *(limit_s, limit_s + GRACE_S),
        )
        if isinstance(outcome, InvocationError):
            return outcome
        self.point = told_names(outcome.get("point"))
        return None

    async def invoke(
        self, arguments: Mapping[str, Any], limit_s: float
    ) -> dict[str, Any] | InvocationError:
        """Run the loaded function; return its result or what went wrong."""
        payload = encode_arguments(arguments)
        if isinstance(payload, InvocationError):
            return payload
        return await self._request(
            MessageType.INVOKE, payload, MessageType.RESULT, limit_s, limit_s + GRACE_S
        )

    async def begin(self, payload: bytes, limit_s: float) -> Answer | InvocationError:
        """Run the loaded function up to its snapshot point, with what that names.

        The answer is POINT: it waits there for `rest`, or did not run because it has other names;
        or RESULT: it ended without getting there.
        """
        return await self._ask(
            MessageType.BEGIN, payload, (MessageType.POINT, MessageType.RESULT), limit_s
        )

    async def rest(self, payload: bytes, limit_s: float) -> dict[str, Any] | InvocationError:
        """Have the function go on from its snapshot point; return its result or what went wrong.

        What it wrote before the point stays.
        """
        answer = await self._ask(MessageType.REST, payload, (MessageType.RESULT,), limit_s, True)
        return answer if isinstance(answer, InvocationError) else answer.content

    async def unload(self, deadline_s: float) -> None:
        """Have the runner forget the rehearsal's function. Raises MachineError."""
        outcome = await self._request(
            MessageType.UNLOAD, TRACELESS, MessageType.DONE, 0, deadline_s
        )
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
        self._stdout, self._stderr = Sink(), Sink()
        frame = Frame(kind, payload, id=number, limit_ms=math.ceil(limit_s * 1000))
        told = await self._converse(frame, (answer,), number, deadline_s)
        return told if isinstance(told, InvocationError) else told.content

    async def _ask(
        self,
        kind: MessageType,
        payload: bytes,
        answers: tuple[MessageType, ...],
        limit_s: float,
        same_output: bool = False,
    ) -> Answer | InvocationError:
        """Send one of the requests that make up an invocation, and wait for its answer."""
        number = next(_requests)
        if not same_output:
            self._stdout, self._stderr = Sink(), Sink()
        frame = Frame(kind, payload, id=number, limit_ms=math.ceil(limit_s * 1000))
        return await self._converse(frame, answers, number, limit_s + GRACE_S)

    async def _converse(
        self,
        request: Frame | None,
        answers: tuple[MessageType, ...],
        number: int,
        deadline_s: float,
    ) -> Answer | InvocationError:
        """Send a frame and wait for the answer to it, whatever the guest does meanwhile."""
        try:
            async with asyncio.timeout(deadline_s):
                if request is not None:
                    if self.rights and request.type in NEED_RIGHTS:
                        await self._send(Frame(MessageType.ALLOW, self.rights, id=number))
                    await self._send(request)
                return await self._answer(answers, number)
        except TimeoutError:
            return InvocationError("timeout", f"The guest gave no answer within {deadline_s:g} s.")
        except ProtocolError as error:
            return InvocationError("protocol", error.message)
        except (EOFError, OSError):
            return await last_words(self._link)

    async def _answer(
        self, answers: tuple[MessageType, ...], number: int
    ) -> Answer | InvocationError:
        while True:
            frame = await self._next()
            if frame.type is MessageType.LOG:
                self.log.append(log_line(frame))
            elif frame.type in (MessageType.STDOUT, MessageType.STDERR):
                # Output of another request is late: the request it belongs to was answered.
                if frame.id == number:
                    sink = self._stdout if frame.type is MessageType.STDOUT else self._stderr
                    sink.write(frame.payload)
            elif frame.type is MessageType.ENDED:
                return told_error(frame)
            elif frame.id != number:
                raise ProtocolError(
                    f"The guest answered request {frame.id} while {number} was asked. "
                    "It is faulty: end it and start another."
                )
            elif frame.type is MessageType.ERROR:
                return told_error(frame)
            elif frame.type in answers:
                return Answer(frame.type, frame.json())
            else:
                due = " or ".join(answer.name for answer in answers)
                raise ProtocolError(
                    f"The guest sent {frame.type.name} where {due} was due. "
                    "It is faulty: end it and start another."
                )

    async def _next(self) -> Frame:
        while not self._arrived:
            data = await self._link.receive()
            if not data:
                raise EOFError
            self._arrived.extend(self._decoder.feed(data))
        return self._arrived.popleft()

    async def _send(self, frame: Frame) -> None:
        await self._link.send(frame.encode())
