"""Wire format v1: a 32-byte little-endian header, then the payload.

| offset | 0 | 4 | 5 | 6 | 8 | 16 | 20 | 24 | 28 |
|---|---|---|---|---|---|---|---|---|---|
| field | magic | version | flags | type | id | context | length | limit_ms | CRC-32 of bytes 0..27 |
"""

from __future__ import annotations

from _struct import Struct
from zlib import crc32

HEADER_SIZE = 32
MAX_PAYLOAD = 8 << 20
MAGIC = b"SEUS"
VERSION = 1

SYNC, OPTIMISE, LOAD, INVOKE, UNLOAD = 0x01, 0x02, 0x03, 0x04, 0x05
READY, DONE, LOADED, RESULT, ERROR = 0x81, 0x82, 0x83, 0x84, 0x85

_FIELDS = Struct("<4sBBHQIII")
_HEADER = Struct("<4sBBHQIIII")
_pack_fields = _FIELDS.pack
_unpack_header = _HEADER.unpack_from


class ProtocolError(Exception):
    """The peer's bytes are no frame; the stream cannot be followed any further."""


def pack(kind: int, request: int, payload: bytes) -> bytes:
    """Return the frame of type ``kind`` that answers request id ``request``."""
    fields = _pack_fields(MAGIC, VERSION, 0, kind, request, 0, len(payload), 0)
    return b"%b%b%b" % (fields, crc32(fields).to_bytes(4, "little"), payload)


def unpack_header(data: bytes) -> tuple[int, int, int]:
    """Return (type, request id, payload length in bytes) of the header that ``data`` starts with.

    Raises ProtocolError, naming the field, when those 32 bytes are not a header of this version.
    """
    magic, version, _, kind, request, _, length, _, check = _unpack_header(data)
    if crc32(data[:28]) == check and magic == MAGIC and version == VERSION and length <= MAX_PAYLOAD:
        return kind, request, length
    if magic != MAGIC:
        raise ProtocolError(f"a frame starts with {magic!r}, not with {MAGIC!r}")
    if crc32(data[:28]) != check:
        raise ProtocolError(f"the header's checksum is {check:#010x}, {crc32(data[:28]):#010x} is due")
    if version != VERSION:
        raise ProtocolError(f"the frame is of version {version}, this runner speaks {VERSION}")
    raise ProtocolError(f"the frame announces {length} bytes, {MAX_PAYLOAD} are allowed")
