"""Function snapshots kept in memory in the form in which a restored machine takes them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

KEPT_BYTES: Final = 256 << 20
"""Bytes of streams that are kept; that of a small function takes about half a megabyte."""


@dataclass(frozen=True)
class Tail:
    """A snapshot's id, and what follows the base's head in its stream."""

    snapshot: str
    stream: bytes


class Tails:
    """The tails used last, by the function's id, `limit` bytes of them at most."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[str, Tail] = OrderedDict()

    def get(self, function: str) -> Tail | None:
        """Return the function's tail, if it is kept."""
        tail = self._kept.get(function)
        if tail is not None:
            self._kept.move_to_end(function)
        return tail

    def keep(self, function: str, tail: Tail) -> None:
        """Keep a tail in place of the function's last; others may have to go for it."""
        self.drop(function)
        self._kept[function] = tail
        self._size += len(tail.stream)
        while self._size > self._limit:
            self.drop(next(iter(self._kept)))

    def drop(self, function: str) -> None:
        """Forget the function's tail, if it is kept."""
        tail = self._kept.pop(function, None)
        if tail is not None:
            self._size -= len(tail.stream)
