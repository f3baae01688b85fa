"""Signs of life for what takes over a second: on a terminal only, on stderr, leaving no trace."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_S = 1.0
INTERVAL_S = 0.5
ERASE_LINE = "\r\x1b[K"


def on_terminal() -> bool:
    """Whether progress may be shown at all."""
    return sys.stderr.isatty()


@contextlib.asynccontextmanager
async def activity(label: str) -> AsyncIterator[None]:
    """Show `label` and the seconds gone while the body runs, once it has run for a second."""
    if not on_terminal():
        yield
        return
    ticker = asyncio.create_task(_tick(label))
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        sys.stderr.write(ERASE_LINE)
        sys.stderr.flush()


async def _tick(label: str) -> None:
    start = time.monotonic()
    await asyncio.sleep(PATIENCE_S)
    while True:
        sys.stderr.write(f"{ERASE_LINE}{label} ... {time.monotonic() - start:.0f} s")
        sys.stderr.flush()
        await asyncio.sleep(INTERVAL_S)


class Progress:
    """A bar over a known number of steps; silent when stderr is no terminal."""

    def __init__(self, label: str, steps: int) -> None:
        self._label = label
        self._steps = steps
        self._start = time.monotonic()

    def show(self, done: int, detail: str = "") -> None:
        """Draw the bar with `done` steps full."""
        gone = time.monotonic() - self._start
        if not on_terminal() or gone < PATIENCE_S:
            return
        width = 30
        full = width * done // max(self._steps, 1)
        left = f", {gone / done * (self._steps - done):.0f} s left" if done else ""
        sys.stderr.write(
            f"{ERASE_LINE}{self._label} [{'#' * full}{'.' * (width - full)}] "
            f"{done}/{self._steps}{left} {detail}"
        )
        sys.stderr.flush()

    def close(self) -> None:
        """Remove the bar."""
        if on_terminal():
            sys.stderr.write(ERASE_LINE)
            sys.stderr.flush()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Ctrl-C and SIGTERM cancel it, so that it can clean up."""
    return asyncio.run(_terminable(main))


async def _terminable(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
