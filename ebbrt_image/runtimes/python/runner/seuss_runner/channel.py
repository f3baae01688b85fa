"""Frames over a file descriptor with stream semantics: reads and writes may be partial."""

from __future__ import annotations

from posix import read, write

from seuss_runner.frames import HEADER_SIZE, pack, unpack_header

_FIRST_READ = 4096
_BULK_READ = 1 << 20


class Disconnected(Exception):
    """The peer closed the stream between two frames."""


class Channel:
    """The frame stream of one descriptor. A small frame costs one read, an answer one write."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ahead = b""

    def receive(self) -> tuple[int, int, bytes]:
        """Wait for the next frame; return its type, request id and payload.

        Raises Disconnected at the end of the stream, ProtocolError on bytes that are no frame.
        """
        data = self._ahead or read(self._descriptor, _FIRST_READ)
        if len(data) < HEADER_SIZE:
            data = self._read_until(data, HEADER_SIZE)
        kind, request, length = unpack_header(data)
        end = HEADER_SIZE + length
        if len(data) < end:
            data = self._read_until(data, end)
        self._ahead = data[end:]
        return kind, request, data[HEADER_SIZE:end]

    def send(self, kind: int, request: int, payload: bytes) -> None:
        """Send one frame whole."""
        frame = pack(kind, request, payload)
        sent = write(self._descriptor, frame)
        if sent != len(frame):
            rest = memoryview(frame)
            while sent < len(frame):
                sent += write(self._descriptor, rest[sent:])

    def _read_until(self, start: bytes, size: int) -> bytes:
        """Return ``start`` continued from the stream to ``size`` bytes, never more."""
        parts = [start]
        missing = size - len(start)
        while missing > 0:
            part = read(self._descriptor, min(missing, _BULK_READ))
            if not part:
                raise Disconnected(f"the stream ended {missing} bytes before the end of a frame")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
