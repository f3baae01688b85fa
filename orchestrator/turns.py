"""Calls that need the same thing at the same time: the first makes it, the others wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable, Iterator


class Turns:
    """Who is making what; nothing is kept once it is made, or has failed."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Event] = {}

    def under_way(self, name: Hashable) -> asyncio.Event | None:
        """Return what is set when the call that makes this is done with it; None if none does."""
        return self._under_way.get(name)

    @contextlib.contextmanager
    def taken(self, name: Hashable) -> Iterator[None]:
        """Have other calls wait for what this one makes."""
        mine = self._under_way.setdefault(name, asyncio.Event())
        try:
            yield
        finally:
            mine.set()
            if self._under_way.get(name) is mine:
                del self._under_way[name]
