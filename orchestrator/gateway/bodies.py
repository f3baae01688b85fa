"""Requests' bodies, read within bounds of size, of time, and of memory for all together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

from aiohttp import web

from orchestrator.gateway.errors import RequestError
from orchestrator.wire import MAX_PAYLOAD

ARGUMENTS_LIMIT: Final = MAX_PAYLOAD
"""Bytes of an invocation's arguments: what a frame holds."""
FUNCTION_LIMIT: Final = 2 * MAX_PAYLOAD
"""Bytes of a function: zips come as base64, and source with JSON's escapes."""
DEADLINE_S: Final = 30.0
"""How long a client may take to send a body."""
MEMORY: Final = 256 << 20
"""Bytes of bodies held at once; a client that would go beyond is told to come again."""
IDENTITY: Final = "identity"
LARGE: Final = 256 << 10
"""Bytes of JSON that are worth a thread."""


class Bodies:
    """Reads bodies and counts what they take together."""

    def __init__(self, memory: int = MEMORY, deadline_s: float = DEADLINE_S) -> None:
        self._free = memory
        self._deadline_s = deadline_s

    @asynccontextmanager
    async def read(self, request: web.Request, limit: int) -> AsyncIterator[bytes]:
        """Yield a request's body; its bytes count until the context is left.

        Raises RequestError with 413 (larger than `limit` bytes), 408 (too slow), 503 (no memory),
        415 (packed: unpacking would be work and memory that the sender chooses).
        """
        taken = 0
        chunks = []
        try:
            coding = request.headers.get("Content-Encoding", IDENTITY)
            if coding.lower() != IDENTITY:
                raise RequestError(
                    415,
                    "encoded",
                    f"The body is encoded as {coding[:80]!r}. Send it as it is.",
                )
            if (request.content_length or 0) > limit:
                _refuse_size(limit)
            async with asyncio.timeout(self._deadline_s):
                async for chunk in request.content.iter_any():
                    if len(chunk) > self._free:
                        raise RequestError(
                            503, "busy", "Too many large requests are under way. Try again.", 1
                        )
                    self._free -= len(chunk)
                    taken += len(chunk)
                    if taken > limit:
                        _refuse_size(limit)
                    chunks.append(chunk)
            yield b"".join(chunks)
        except TimeoutError:
            raise RequestError(
                408, "slow", f"The body did not come within {self._deadline_s:g} s. Send it faster."
            ) from None
        finally:
            self._free += taken

    def hold(self, size: int) -> Callable[[], None]:
        """Count `size` bytes of a body on, until what is returned is called."""
        self._free -= size

        def release() -> None:
            self._free += size

        return release

    @asynccontextmanager
    async def read_object(self, request: web.Request, limit: int) -> AsyncIterator[dict[str, Any]]:
        """Yield the JSON object in a body, {} for an empty one.

        Raises RequestError as `read` does, and with 400 for anything else.
        """
        async with self.read(request, limit) as body:
            yield await parsed(body)


async def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body` as `parse_object` does; a large one takes a thread."""
    return await asyncio.to_thread(parse_object, body) if len(body) > LARGE else parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`, {} if it is empty. Raises RequestError with 400."""
    if not body:
        return {}
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(
            400, "bad-request", f"The body is no JSON ({error}). Send a JSON object."
        ) from None
    if not isinstance(parsed, dict):
        raise RequestError(
            400, "bad-request", 'The body is JSON, but no object. Send one, as {"n": 1}.'
        )
    return parsed


def _refuse_size(limit: int) -> NoReturn:
    raise RequestError(413, "too-large", f"The body is too large: at most {limit} bytes are taken.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
