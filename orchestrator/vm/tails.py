"""Snapshots kept in memory in the form in which a restored machine takes them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from snapshot_store import PAGE_SIZE, PageSet

KEPT_BYTES: Final = 256 << 20
"""Bytes of streams that are kept; that of a small function takes about half a megabyte."""


@dataclass(frozen=True)
class Tail:
    """A snapshot and what follows the base's head in its stream.

    `snapshot` is its id, None while that is not known; `pages` is what differs from the base, for
    functions that can be captured further on, else None.
    """

    snapshot: str | None
    stream: bytes
    pages: PageSet | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.stream) + (0 if self.pages is None else len(self.pages) * PAGE_SIZE)


class Tails:
    """The tails used last, `limit` bytes of them at most.

    They are called by the function's id or, at its snapshot point, by that and the key.
    """

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
        self._size += tail.size
        while self._size > self._limit:
            self.drop(next(iter(self._kept)))

    def drop(self, function: str) -> None:
        """Forget the function's tail, if it is kept."""
        tail = self._kept.pop(function, None)
        if tail is not None:
            self._size -= tail.size
