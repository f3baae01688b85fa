"""Who may run now, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque

from orchestrator.errors import BusyError

LONGEST_RETRY_S = 60
WEIGHT = 0.1
"""Of the newest invocation's time in the mean that `retry_s` is guessed from."""


class Admission:
    """Lets `concurrency` invocations run at once and `queue` more wait, first come, first served.

    Args:
        concurrency: at least 1.
        queue: 0 or more.
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self._concurrency = concurrency
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_s = 0.0
        self.running = 0
        """Invocations that run."""

    @property
    def waiting(self) -> int:
        """Invocations that wait for their turn."""
        return len(self._waiting)

    def claim(self) -> Turn:
        """Take a place among those that run or wait. Raises BusyError when there is none."""
        come = asyncio.get_running_loop().create_future()
        if self.running < self._concurrency:
            self.running += 1
            come.set_result(None)
        elif self.waiting < self._queue:
            self._waiting.append(come)
        else:
            retry_s = self._retry_s()
            raise BusyError(
                f"{self.running} invocations run and {self.waiting} wait: no more are taken now. "
                f"Try again in {retry_s} s.",
                retry_s,
            )
        return Turn(self, come)

    def give_back(self, come: asyncio.Future[None]) -> None:
        """Pass on the place of one that ran, or drop one that waits."""
        if not come.done() or come.cancelled():
            with contextlib.suppress(ValueError):
                self._waiting.remove(come)
            return
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self.running -= 1

    def note(self, seconds: float) -> None:
        """Take an invocation's time into the guess of `retry_s`."""
        self._mean_s += WEIGHT * (seconds - self._mean_s)

    def _retry_s(self) -> int:
        soon = self._mean_s * (self.waiting + 1) / self._concurrency
        return max(1, min(LONGEST_RETRY_S, math.ceil(soon)))


class Turn:
    """One invocation's place; `release` it once, whether its turn came or not."""

    def __init__(self, admission: Admission, come: asyncio.Future[None]) -> None:
        self._admission = admission
        self._come = come
        self._released = False
        self._began = time.perf_counter()

    async def wait(self) -> None:
        """Wait until the invocation may run."""
        await self._come
        self._began = time.perf_counter()

    def release(self) -> None:
        """Let another run or wait instead; calling it again does nothing."""
        if self._released:
            return
        self._released = True
        if self._come.done() and not self._come.cancelled():
            self._admission.note(time.perf_counter() - self._began)
        self._admission.give_back(self._come)
