"""The frames that host and guest exchange over the virtio console (wire format, version 1).

Both directions carry a byte stream of frames: a 32-byte little-endian header, then `length`
payload bytes. The guest's side is `ebbrt_image/src/messenger/Frame.h`; both are tested against
`tests/vectors/frames.json`.

| offset | size | field    | meaning                                                    |
|--------|------|----------|------------------------------------------------------------|
| 0      | 4    | magic    | the bytes `SEUS`                                           |
| 4      | 1    | version  | 1                                                          |
| 5      | 1    | flags    | 0                                                          |
| 6      | 2    | type     | a `MessageType`                                            |
| 8      | 8    | id       | request chosen by the host, echoed by its answers; 0: none |
| 16     | 4    | context  | unikernel context; 0: the node itself, or the only context |
|        |      |          | with `SNAPSHOT` set: one to be deployed from that snapshot |
| 20     | 4    | length   | payload bytes, at most `MAX_PAYLOAD`                       |
| 24     | 4    | time     | of a request that runs a function: its time limit in ms;   |
|        |      |          | of its answer: ns that deploying the context for it took   |
|        |      |          | (longest: 4.29 s); 0: none                                 |
| 28     | 4    | check    | CRC-32 (zlib's) of the 28 bytes before                     |

The guest is not trusted: a decoder accepts nothing that this table does not allow, and never holds
more than one header, one payload and the bytes of one `feed`.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NoReturn

from orchestrator.errors import ProtocolError

MAGIC: Final = b"SEUS"
VERSION: Final = 1
MAX_PAYLOAD: Final = 8 << 20
HEADER_SIZE: Final = 32
SEED_SIZE: Final = 32
SNAPSHOT: Final = 1 << 31
"""Set in a context: the number is a snapshot's."""

_FIELDS: Final = struct.Struct("<4sBBHQIII")
_CHECK: Final = struct.Struct("<I")
_SYNC: Final = struct.Struct(f"<QQ{SEED_SIZE}s")
_PERHAPS_INFINITE: Final = re.compile(rb"[eE]\+?\d{3}|\d{309}")


class MessageType(IntEnum):
    """What a frame is; the values from 0x80 on are sent by the guest."""

    SYNC = 0x01
    OPTIMISE = 0x02
    LOAD = 0x03
    INVOKE = 0x04
    UNLOAD = 0x05
    STATUS_REQUEST = 0x06
    SHUTDOWN = 0x07
    BEGIN = 0x08
    """To a function's snapshot point, with the arguments that it names."""
    REST = 0x09
    """Past the point, with the other arguments."""
    BOOT = 0x10
    CAPTURE = 0x11
    DEPLOY = 0x12
    END = 0x13
    EVICT = 0x14
    EXPORT = 0x15
    IMPORT = 0x16
    BREAK = 0x17
    LIST = 0x18
    ALLOW = 0x19
    READY = 0x81
    DONE = 0x82
    LOADED = 0x83
    RESULT = 0x84
    ERROR = 0x85
    STDOUT = 0x86
    STDERR = 0x87
    STATUS = 0x88
    LOG = 0x89
    ENDED = 0x8A
    CAPTURED = 0x8B
    DEPLOYED = 0x8C
    EXPORTED = 0x8D
    LISTED = 0x8E
    POINT = 0x8F

    @property
    def from_guest(self) -> bool:
        """Whether the guest sends frames of this type; the host sends the others."""
        return self.value >= 0x80


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; 0 in `id`, `context`, `limit_ms` (milliseconds) and `deploy_ns` means none.

    The host's frames have a limit, the guest's tell how long a deploy took.
    """

    type: MessageType
    payload: bytes = b""
    id: int = 0
    context: int = 0
    limit_ms: int = 0
    deploy_ns: int = 0

    def encode(self) -> bytes:
        """Return the frame's bytes. Raises ProtocolError for a value that does not fit."""
        if len(self.payload) > MAX_PAYLOAD:
            raise ProtocolError(
                f"A {self.type.name} frame of {len(self.payload)} payload bytes cannot be sent: "
                f"at most {MAX_PAYLOAD} fit in one frame. Send less."
            )
        time, other = self.limit_ms, self.deploy_ns
        if self.type.from_guest:
            time, other = other, time
        if other:
            raise ProtocolError(
                f"A {self.type.name} frame cannot tell limit_ms {self.limit_ms} and deploy_ns "
                f"{self.deploy_ns}: the host's frames have the one, the guest's the other."
            )
        try:
            head = _FIELDS.pack(
                MAGIC,
                VERSION,
                0,
                self.type,
                self.id,
                self.context,
                len(self.payload),
                time,
            )
        except struct.error as error:
            raise ProtocolError(
                f"A {self.type.name} frame cannot be encoded (id {self.id}, context "
                f"{self.context}, limit_ms {self.limit_ms}, deploy_ns {self.deploy_ns}): {error}."
            ) from error
        return head + _CHECK.pack(zlib.crc32(head)) + self.payload

    def json(self) -> dict[str, Any]:
        """Return the payload as a JSON object.

        Raises ProtocolError when it is none: the sender is a guest, so nothing is taken on trust.
        """
        try:
            # Numbers are looked at one by one only where one can be too large: that takes time.
            parse_float = _finite if _PERHAPS_INFINITE.search(self.payload) else None
            value = json.loads(
                self.payload, parse_constant=_refuse_constant, parse_float=parse_float
            )
        except (ValueError, RecursionError) as error:
            raise ProtocolError(
                f"The payload of a {self.type.name} frame is no JSON ({error}). "
                "The guest is faulty: end it and start another."
            ) from error
        if not isinstance(value, dict):
            raise ProtocolError(
                f"The payload of a {self.type.name} frame is a JSON {type(value).__name__}, not an "
                "object. The guest is faulty: end it and start another."
            )
        return value


def sync_payload(wall_clock_ns: int, generation: int, seed: bytes) -> bytes:
    """Return the 48 bytes of SYNC: Unix time in ns, the restore's generation, 32 bytes of seed."""
    if len(seed) != SEED_SIZE:
        raise ProtocolError(f"A SYNC seed has {SEED_SIZE} bytes, not {len(seed)}.")
    return _SYNC.pack(wall_clock_ns, generation, seed)


class Decoder:
    """Turns the bytes of one stream, cut anywhere, into frames.

    After a ProtocolError the stream has no known frame border any more, so every later call raises
    the same error.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._error: ProtocolError | None = None

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not complete yet; 0 at a frame border."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Take the stream's next bytes and yield each frame that they complete.

        Raises ProtocolError as soon as a header breaks the format, after the frames before it.
        """
        if self._error is not None:
            raise self._error
        self._buffer += data
        return self._frames()

    def finish(self) -> None:
        """Say that the stream has ended. Raises ProtocolError if it ended inside a frame."""
        if self._error is not None:
            raise self._error
        if self._buffer:
            self._fail(
                f"the stream ended inside a frame, {len(self._buffer)} bytes after its start"
            )

    def _frames(self) -> Iterator[Frame]:
        while len(self._buffer) >= HEADER_SIZE:
            frame_type, request, context, length, time = self._header()
            end = HEADER_SIZE + length
            if len(self._buffer) < end:
                return
            payload = bytes(memoryview(self._buffer)[HEADER_SIZE:end])
            del self._buffer[:end]
            if frame_type.from_guest:
                yield Frame(frame_type, payload, request, context, deploy_ns=time)
            else:
                yield Frame(frame_type, payload, request, context, limit_ms=time)

    def _header(self) -> tuple[MessageType, int, int, int, int]:
        magic, version, flags, kind, request, context, length, time = _FIELDS.unpack_from(
            self._buffer
        )
        if magic != MAGIC:
            self._fail(f"a frame's magic is {magic.hex(' ')} instead of {MAGIC.hex(' ')}")
        (check,) = _CHECK.unpack_from(self._buffer, _FIELDS.size)
        expected = zlib.crc32(memoryview(self._buffer)[: _FIELDS.size])
        if check != expected:
            self._fail(f"a header's check is {check:#010x}, its bytes give {expected:#010x}")
        if version != VERSION:
            self._fail(f"a frame has version {version}; this side speaks version {VERSION}")
        if flags != 0:
            self._fail(f"a frame has flags {flags:#04x}; version {VERSION} knows none")
        if length > MAX_PAYLOAD:
            self._fail(
                f"a frame has length {length}; at most {MAX_PAYLOAD} payload bytes are allowed"
            )
        try:
            frame_type = MessageType(kind)
        except ValueError:
            self._fail(f"a frame has the unknown type {kind:#06x}")
        return frame_type, request, context, length, time

    def _fail(self, cause: str) -> NoReturn:
        self._error = ProtocolError(
            f"The stream of frames is broken: {cause}. "
            "The other side is faulty or of another version: end it and start another."
        )
        self._buffer.clear()
        raise self._error


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
