"""Requests under way, so that background work can wait for a gap between them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator


class Traffic:
    """Counts requests under way; background work waits for gaps between them."""

    def __init__(self) -> None:
        self._under_way = 0
        self._last_end = -math.inf
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Hold background work off while the context lasts."""
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._last_end = time.monotonic()
                self._idle.set()

    async def gap(self, least_s: float = 0.0) -> None:
        """Wait until no request has been under way for `least_s` seconds."""
        while True:
            await self._idle.wait()
            left = self._last_end + least_s - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(left)
            if self._idle.is_set() and time.monotonic() >= self._last_end + least_s:
                return
