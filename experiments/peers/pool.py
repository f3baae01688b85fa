"""A node of containers as OpenWhisk keeps it: what SEUSS's paper compares with.

A container serves one function for its whole life, one call at a time. A call takes, in this order:
an idle container of its function; a prewarmed one, which imports the function; a new one. A full
node removes the idle container that was used least recently, behind the call's back; where none is
idle, calls wait their turn. Idle containers are paused after a while. OpenWhisk's own defaults: two
prewarmed, a pause after 10 s.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from experiments.peers.errors import PeerError
from experiments.peers.peer import Instance, Peer

logger = logging.getLogger(__name__)

PREWARMED = 2
PAUSE_AFTER_S = 10.0


@dataclass(eq=False)
class _Held:
    """A container of the node with what it serves; at rest `since` then (monotonic seconds)."""

    instance: Instance
    function: str
    since: float = 0.0
    paused: bool = False


@dataclass(frozen=True)
class Served:
    """An answer, and the path it took: hot, prewarmed or new."""

    result: dict[str, Any]
    path: str


class ContainerPool:
    """Serves calls from at most `most` instances of an entered `peer`; an async context manager.

    `most` counts the prewarmed too, which are replaced while there is room.
    """

    def __init__(self, peer: Peer, most: int, pause_after_s: float = PAUSE_AFTER_S) -> None:
        if most <= PREWARMED:
            raise PeerError(
                f"A pool of {most} containers cannot be: {PREWARMED} are kept prewarmed. "
                "Give the node more memory."
            )
        self._peer = peer
        self._most = most
        self._pause_after_s = pause_after_s
        self._idle: list[_Held] = []
        """The least recently used first."""
        self._prewarmed: list[Instance] = []
        self._count = 0
        """Containers held, those being made included and those being removed not."""
        self._instances: set[Instance] = set()
        self._changed = asyncio.Condition()
        self._making: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._pausing: asyncio.Task[None] | None = None
        self._removing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for _ in range(PREWARMED):
            self._count += 1
            await self._prewarm()
        self._pausing = asyncio.create_task(self._pause_idle())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not cancelled: an engine that is cut off in a pause leaves a frozen container for good.
        self._closing.set()
        if self._pausing is not None:
            await self._pausing
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        await asyncio.gather(self._peer.end_all(self._instances), *self._removing)
        self._instances.clear()

    async def invoke(self, function: str, source: bytes, arguments: dict[str, Any]) -> Served:
        """Call a function; PeerError when it or its container fails, which then is removed."""
        held, path = await self._take(function)
        try:
            if held.paused:
                await held.instance.resume()
                held.paused = False
            result = await held.instance.call(arguments, None if path == "hot" else source)
        except BaseException:
            self._remove(held.instance)
            await self._leave()
            raise
        await self._rest(held)
        return Served(result, path)

    async def _take(self, function: str) -> tuple[_Held, str]:
        async with self._changed:
            while True:
                for held in reversed(self._idle):
                    if held.function == function:
                        self._idle.remove(held)
                        return held, "hot"
                if self._prewarmed:
                    if self._count < self._most:
                        self._count += 1
                        _keep(self._making, self._prewarm())
                    return _Held(self._prewarmed.pop(0), function), "prewarmed"
                if self._count < self._most:
                    self._count += 1
                    break
                if self._idle:
                    # The new one takes its place in the count.
                    self._remove(self._idle.pop(0).instance)
                    break
                await self._changed.wait()
        try:
            return _Held(await self._start(), function), "new"
        except BaseException:
            await self._leave()
            raise

    async def _start(self) -> Instance:
        instance = await self._peer.start()
        self._instances.add(instance)
        return instance

    async def _prewarm(self) -> None:
        try:
            self._prewarmed.append(await self._start())
        except PeerError as error:
            logger.warning("no container could be prewarmed: %s", error)
            await self._leave()
            return
        async with self._changed:
            self._changed.notify_all()

    def _remove(self, instance: Instance) -> None:
        self._instances.discard(instance)
        _keep(self._removing, self._peer.end(instance))

    async def _leave(self) -> None:
        async with self._changed:
            self._count -= 1
            self._changed.notify_all()

    async def _rest(self, held: _Held) -> None:
        held.since = time.monotonic()
        async with self._changed:
            self._idle.append(held)
            self._changed.notify_all()

    async def _pause_idle(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._pause_after_s / 10)
            if self._closing.is_set():
                return
            due = time.monotonic() - self._pause_after_s
            for held in [each for each in self._idle if not each.paused and each.since < due]:
                if self._closing.is_set():
                    return
                if held not in self._idle:
                    continue
                # Out of the list meanwhile: nobody shall call what is being paused.
                self._idle.remove(held)
                try:
                    await held.instance.pause()
                except PeerError as error:
                    logger.warning("an idle container could not be paused: %s", error)
                    self._remove(held.instance)
                    await self._leave()
                    continue
                held.paused = True
                async with self._changed:
                    bisect.insort(self._idle, held, key=lambda each: each.since)
                    self._changed.notify_all()


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
