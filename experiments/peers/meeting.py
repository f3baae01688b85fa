"""The unix socket at which callers report: the host learns there who is ready, and its process."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Self

from experiments.peers.errors import PeerError
from experiments.peers.peer import LINE_LIMIT, Channel

READY_TIMEOUT_S = 60.0
_CREDENTIALS = struct.Struct("3i")


class Meeting:
    """Listens at `place` (a path); an async context manager."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self._awaited: dict[str, asyncio.Future[tuple[Channel, int]]] = {}
        self._server: asyncio.Server
        self._silent: asyncio.Future[tuple[Channel, int]] | None = None
        self._one_silent = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(
            self._greet, self.place, limit=LINE_LIMIT, backlog=512
        )
        # Processes of other users, as containers may have, meet here as well.
        self.place.chmod(0o666)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.place.unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def expect(self, name: str) -> AsyncIterator[asyncio.Future[tuple[Channel, int]]]:
        """Yield what resolves to the channel and process id of the caller called `name`."""
        future = self._awaited[name] = asyncio.get_running_loop().create_future()
        try:
            yield future
        finally:
            self._awaited.pop(name, None)
            future.cancel()

    @contextlib.asynccontextmanager
    async def next(self) -> AsyncIterator[asyncio.Future[tuple[Channel, int]]]:
        """Yield what resolves to whoever connects next and says nothing; one at a time."""
        async with self._one_silent:
            self._silent = asyncio.get_running_loop().create_future()
            try:
                yield self._silent
            finally:
                self._silent.cancel()
                self._silent = None

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._silent is not None and not self._silent.done():
            self._silent.set_result((Channel(reader, writer), _peer(writer)))
            return
        line = await reader.readline()
        name = line.decode("utf-8", "replace").removeprefix("ready ").strip()
        future = self._awaited.pop(name, None)
        if future is None or future.done():
            writer.close()
            return
        future.set_result((Channel(reader, writer), _peer(writer)))


def _peer(writer: asyncio.StreamWriter) -> int:
    """Return the process at the other end."""
    end: socket.socket = writer.get_extra_info("socket")
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[0])


async def arrival(
    future: asyncio.Future[tuple[Channel, int]], process: asyncio.subprocess.Process | None = None
) -> tuple[Channel, int]:
    """Wait for a caller; PeerError when it does not come, at once if its `process` ends."""

    def ended(_: object) -> None:
        if process is not None and not future.done():
            future.set_exception(_absent(f"ended with status {process.returncode}"))

    watch = asyncio.ensure_future(process.wait()) if process is not None else None
    if watch is not None:
        watch.add_done_callback(ended)
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            return await future
    except TimeoutError as error:
        raise _absent(f"was not there after {READY_TIMEOUT_S:g} s") from error
    finally:
        if watch is not None:
            watch.remove_done_callback(ended)
            watch.cancel()


def _absent(reason: str) -> PeerError:
    return PeerError(
        f"A peer {reason} and was not ready. Look at its messages above and at the free memory."
    )
