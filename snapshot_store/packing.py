"""The state blob on disk: deflated, since most of a machine's device state is zeroes."""

import zlib
from typing import Final

from snapshot_store.manifest import STATE_NAME, FieldError

_LEVEL: Final = 1
"""Zeroes go at every level; the quickest is on no request's way."""


def pack_state(state: bytes) -> bytes:
    """Return what state.bin holds: one zlib stream."""
    return zlib.compress(state, _LEVEL)


def unpack_state(packed: bytes, size: int) -> bytes:
    """Return the state of `size` bytes that `packed` holds.

    Raises:
        FieldError: it is no zlib stream, or not one of exactly that many bytes.
    """
    inflater = zlib.decompressobj()
    try:
        # One byte more than there should be, and never a bomb's gigabytes.
        state = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise FieldError(f"{STATE_NAME} cannot be inflated ({error})") from None
    if len(state) != size or not inflater.eof or inflater.unused_data:
        raise FieldError(f"{STATE_NAME} does not hold the {size} bytes that state_size gives")
    return state
