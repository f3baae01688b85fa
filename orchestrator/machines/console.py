"""The host's end of a guest's console: always read, so that QEMU never waits for its reader."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

LIMIT: Final = 16 << 20
"""Bytes held that nobody has asked for; beyond that the guest must wait."""
READ_SIZE: Final = 1 << 16


class Console:
    """A connected socket whose incoming bytes are taken in as they come.

    QEMU writes to a full console with its big lock held, so a reader that pauses (during a capture,
    say) would stop QMP with it: bytes are therefore read ahead, up to `LIMIT`.

    Args:
        end: the host's end, non-blocking; closed with the console.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._ended = False
        self._reading = False
        self._arrival: asyncio.Future[None] | None = None
        self._read_on()

    async def send(self, data: bytes) -> None:
        """Write to the guest; waits while it does not read. Raises OSError when it is gone."""
        await self._loop.sock_sendall(self._end, data)

    async def receive(self, limit: int = READ_SIZE) -> bytes:
        """Return what has come, at most `limit` bytes; waits for some; b"" once the guest ended."""
        if self._held:
            # A guest that floods holds up neither other requests nor its own deadline.
            await asyncio.sleep(0)
        while not self._held and not self._ended:
            self._arrival = self._loop.create_future()
            await self._arrival
        data = bytes(self._held[:limit])
        del self._held[:limit]
        self._read_on()
        return data

    def close(self) -> None:
        """Close the socket; who waits for bytes is told that the guest ended."""
        self._end_here()
        self._end.close()

    def _read_on(self) -> None:
        if not self._reading and not self._ended and len(self._held) < LIMIT:
            self._loop.add_reader(self._end, self._take_in)
            self._reading = True

    def _pause(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._end)
            self._reading = False

    def _take_in(self) -> None:
        try:
            data = self._end.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end_here()
            return
        self._held += data
        if len(self._held) >= LIMIT:
            self._pause()
        self._wake()

    def _end_here(self) -> None:
        self._pause()
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
