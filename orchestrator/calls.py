"""Calls under way, so that whoever serves them can end them when it ends itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from orchestrator.errors import PoolClosedError

Result = TypeVar("Result")


class Calls:
    """Runs each call as a task of its own.

    Args:
        server: who serves them, for the error of those that are ended with it.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._under_way: set[asyncio.Task[Any]] = set()
        self._ended = False

    async def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Await a call; a caller that is cancelled ends it.

        Raises what the call raises, and PoolClosedError when `end` ends it, or did before.
        """
        task = self.begin(call)
        try:
            await asyncio.wait((task,))
        finally:
            if task.cancel():  # the caller went away
                await asyncio.wait((task,))
        if task.cancelled():
            raise self._closed()
        return task.result()

    def begin(self, call: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start a call that nobody waits for. Raises PoolClosedError after `end`."""
        if self._ended:
            call.close()
            raise self._closed()
        task = asyncio.create_task(call)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return task

    async def end(self) -> None:
        """End all calls and wait until they are over; none is taken from now on."""
        self._ended = True
        for task in self._under_way:
            task.cancel()
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # of one whose caller went away, nobody else asks for it

    def _closed(self) -> PoolClosedError:
        return PoolClosedError(f"The {self._server} was closed: it ends its calls and takes none.")
