"""The state as state.bin holds it."""

import zlib

import pytest

from snapshot_store.manifest import FieldError
from snapshot_store.packing import pack_state, unpack_state

DEVICES = b"microvm" + bytes(48_000) + bytes(range(256))


@pytest.mark.parametrize("state", [b"", b"\0", DEVICES])
def test_a_state_comes_back(state: bytes) -> None:
    assert unpack_state(pack_state(state), len(state)) == state


def test_zeroes_take_no_room() -> None:
    assert len(pack_state(DEVICES)) < 1000


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (b"", 0),
        (b"no stream", 9),
        (pack_state(DEVICES)[:-1], len(DEVICES)),
        (pack_state(DEVICES) + b"x", len(DEVICES)),
        (pack_state(DEVICES), len(DEVICES) - 1),
        (pack_state(DEVICES), len(DEVICES) + 1),
        (pack_state(b""), 1),
    ],
)
def test_anything_else_is_refused(packed: bytes, size: int) -> None:
    with pytest.raises(FieldError, match=r"state\.bin"):
        unpack_state(packed, size)


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(1 << 24))
    with pytest.raises(FieldError, match="10 bytes"):
        unpack_state(bomb, 10)
