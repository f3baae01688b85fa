"""What conversations with an untrusted guest have in common: bounded output, and errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.errors import MachineError, ProtocolError
from orchestrator.invocation import InvocationError
from orchestrator.wire import MAX_PAYLOAD, Frame

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


class Link(Protocol):
    """What a conversation needs of a machine."""

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


class Sink:
    """Keeps the first `OUTPUT_LIMIT` bytes of a stream."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._truncated = False

    def write(self, data: bytes) -> None:
        """Take in the stream's next bytes."""
        room = OUTPUT_LIMIT - len(self._kept)
        self._kept += data[:room]
        self._truncated |= len(data) > room

    def output(self) -> Output:
        """Return what is kept, readable whatever the guest wrote."""
        return Output(self._kept.decode("utf-8", "replace"), self._truncated)


def encode_arguments(arguments: Mapping[str, Any]) -> bytes | InvocationError:
    """Return the payload of INVOKE, or why there is none."""
    try:
        payload = json.dumps(arguments, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return InvocationError("bad-request", f"The arguments are no JSON object: {error}.")
    if len(payload) > MAX_PAYLOAD:
        return InvocationError(
            "args-too-large",
            f"The arguments are {len(payload)} bytes of JSON; at most {MAX_PAYLOAD} fit.",
        )
    return payload


def log_line(frame: Frame) -> str:
    """Return a LOG frame's line, cut to a length that may be kept."""
    return frame.payload[:LOG_LINE_LIMIT].decode("utf-8", "replace")


def told_error(frame: Frame) -> InvocationError:
    """Read what the guest says went wrong; whatever it says, the outcome is short text.

    Raises ProtocolError when it says nothing of that kind.
    """
    told = frame.json()
    kind, message, traceback = (told.get(name) for name in ("kind", "message", "traceback"))
    if not isinstance(kind, str) or not isinstance(message, str):
        raise ProtocolError(
            f"The guest sent {frame.type.name} without kind and message. "
            "It is faulty: end it and start another."
        )
    told_traceback = traceback[:ERROR_TEXT_LIMIT] if isinstance(traceback, str) else None
    return InvocationError(kind[:KIND_LIMIT], message[:ERROR_TEXT_LIMIT], told_traceback)


async def last_words(link: Link) -> InvocationError:
    """Say how a machine ended; its console is closed, so it is ending at least."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await link.wait()
    error = link.error("The guest ended before it answered")
    last = "\n".join(error.log_tail.splitlines()[-LAST_WORDS:])
    return InvocationError("node-died", error.message, last[-ERROR_TEXT_LIMIT:] or None)
