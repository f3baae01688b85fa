"""Times the phases of a request."""

from __future__ import annotations

import time


class Stopwatch:
    """Times phases that follow each other."""

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter()

    def lap(self) -> float:
        """Return the milliseconds since the last lap."""
        now = time.perf_counter()
        lap, self._last = (now - self._last) * 1000, now
        return lap

    @property
    def total(self) -> float:
        """Milliseconds since the start."""
        return (time.perf_counter() - self.started) * 1000
