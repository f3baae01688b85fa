"""The frame codec: what is sent comes back, however it is cut, and nothing else is taken."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ProtocolError
from orchestrator.wire import (
    HEADER_SIZE,
    MAGIC,
    MAX_PAYLOAD,
    Decoder,
    Frame,
    MessageType,
    sync_payload,
)


def frames_of(types: list[MessageType], time: str) -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        type=st.sampled_from(types),
        payload=st.binary(max_size=200),
        id=st.integers(0, 2**64 - 1),
        context=st.integers(0, 2**32 - 1),
        **{time: st.integers(0, 2**32 - 1)},
    )


FRAMES = frames_of([kind for kind in MessageType if kind.from_guest], "deploy_ns") | frames_of(
    [kind for kind in MessageType if not kind.from_guest], "limit_ms"
)


def header(
    magic: bytes = MAGIC,
    version: int = 1,
    flags: int = 0,
    kind: int = MessageType.RESULT,
    length: int = 0,
    check: int | None = None,
) -> bytes:
    """A header with chosen faults; its check is right unless given."""
    head = struct.pack("<4sBBHQIII", magic, version, flags, kind, 7, 0, length, 0)
    return head + struct.pack("<I", zlib.crc32(head) if check is None else check)


def decode(pieces: Sequence[bytes]) -> list[Frame]:
    decoder = Decoder()
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    decoder.finish()
    return frames


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 1200), max_size=12))
def test_frames_survive_any_cut(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert decode(pieces) == frames


@given(st.lists(FRAMES, min_size=1, max_size=3), st.data())
def test_flipped_header_bit_is_refused(frames: list[Frame], data: st.DataObject) -> None:
    stream = bytearray(b"".join(frame.encode() for frame in frames))
    last = len(stream) - HEADER_SIZE - len(frames[-1].payload)
    bit = data.draw(st.integers(0, 8 * HEADER_SIZE - 1))
    stream[last + bit // 8] ^= 1 << bit % 8
    decoder = Decoder()
    received: list[Frame] = []
    with pytest.raises(ProtocolError):
        received.extend(decoder.feed(bytes(stream)))
    with pytest.raises(ProtocolError):
        decoder.feed(b"")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise_anything_else(noise: bytes) -> None:
    decoder = Decoder()
    try:
        frames = list(decoder.feed(noise))
        decoder.finish()
    except ProtocolError:
        return
    assert b"".join(frame.encode() for frame in frames) == noise


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (header(magic=b"SEUX"), "magic is"),
        (header(version=2), "version 2"),
        (header(flags=1), "flags 0x01"),
        (header(kind=0x7F), "unknown type 0x007f"),
        (header(length=MAX_PAYLOAD + 1), "at most 8388608"),
        (header(check=1), "check is 0x00000001"),
    ],
)
def test_each_fault_is_named(bad: bytes, cause: str) -> None:
    with pytest.raises(ProtocolError, match=cause):
        list(Decoder().feed(bad))


def test_frames_before_a_fault_are_delivered() -> None:
    good = Frame(MessageType.RESULT, b"{}", id=1)
    received = []
    with pytest.raises(ProtocolError):
        for frame in Decoder().feed(good.encode() + header(version=9)):
            received.append(frame)
    assert received == [good]


def test_stream_that_ends_inside_a_frame_is_an_error() -> None:
    decoder = Decoder()
    assert list(decoder.feed(Frame(MessageType.DONE, b"{}").encode()[:-1])) == []
    assert decoder.pending == HEADER_SIZE + 1
    with pytest.raises(ProtocolError, match="ended inside a frame"):
        decoder.finish()


def test_largest_payload_fits_and_one_more_byte_does_not() -> None:
    frame = Frame(MessageType.RESULT, bytes(MAX_PAYLOAD))
    assert decode([frame.encode()]) == [frame]
    with pytest.raises(ProtocolError, match="Send less"):
        Frame(MessageType.RESULT, bytes(MAX_PAYLOAD + 1)).encode()


@pytest.mark.parametrize("field", ["id", "context", "limit_ms", "deploy_ns"])
def test_number_out_of_range_is_refused(field: str) -> None:
    kind = MessageType.RESULT if field == "deploy_ns" else MessageType.INVOKE
    with pytest.raises(ProtocolError, match=f"{field} -1"):
        Frame(kind, **{field: -1}).encode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "frame", [Frame(MessageType.INVOKE, deploy_ns=1), Frame(MessageType.RESULT, limit_ms=1)]
)
def test_time_of_the_other_side_is_refused(frame: Frame) -> None:
    with pytest.raises(ProtocolError, match="the host's frames"):
        frame.encode()


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\xff", b"[1]", b"3", b'{"a": NaN}', b"[" * 100_000, b'{"a": ' + b"9" * 5000),
        *(b'{"a": 1e999}', b'{"a": -1E+0400}', b'{"a": ' + b"9" * 400 + b".0}"),
    ],
)
def test_payload_that_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="RESULT frame"):
        Frame(MessageType.RESULT, payload).json()


def test_json_payload() -> None:
    assert Frame(MessageType.RESULT, '{"é": [1, null]}'.encode()).json() == {"é": [1, None]}


def test_sync_payload_layout() -> None:
    payload = sync_payload(1, 2, bytes(range(32)))
    assert payload == (1).to_bytes(8, "little") + (2).to_bytes(8, "little") + bytes(range(32))
    with pytest.raises(ProtocolError, match="32 bytes"):
        sync_payload(1, 2, b"short")


def test_guest_types_are_those_from_0x80_on() -> None:
    assert MessageType.READY.from_guest
    assert not MessageType.SHUTDOWN.from_guest
