"""Things made ahead of time, so that making them is off the request path.

A node keeps two pools: machines that wait for a snapshot's stream with its head already in, and
machines restored from the base whose next changes are already being recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from orchestrator.errors import PoolClosedError
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine
from orchestrator.traffic import Traffic
from orchestrator.vm.capture import HeldCapture
from orchestrator.vm.instance import Instance
from orchestrator.vm.restore import Origin, complete, prepare

logger = logging.getLogger(__name__)


WarmUp = Callable[[Instance], Awaitable[None]]


class Closable(Protocol):
    """What a pool can hold: something that may have died, and that can be closed at any time."""

    @property
    def alive(self) -> bool:
        """Whether it can still be used."""

    async def close(self) -> None:
        """Give it up."""


Item = TypeVar("Item", bound=Closable)


class Pool(Generic[Item]):
    """Keeps up to `size` items ready, made one at a time in gaps between requests.

    Use it as a context manager: at its end nothing it made and did not hand out is left.

    Args:
        make: makes one item; cleans up after itself when it fails or is cancelled. May be set anew.
        size: items to keep ready once `take` or `fill` was called; before that none is made.
        traffic: requests that the pool must not disturb.
        patience_s: how long none must have been under way before an item is made.
        optional: whether there is a way without its items; if not, an empty pool has no patience.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[Item]],
        size: int,
        traffic: Traffic | None = None,
        patience_s: float = 0.0,
        optional: bool = False,
    ) -> None:
        self.make = make
        self._size = size
        self._traffic = traffic or Traffic()
        self._patience_s = patience_s
        self._optional = optional
        self._ready: deque[Item] = deque()
        self._changed = asyncio.Condition()
        self._failure: Exception | None = None
        self._filler: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._hurry = asyncio.Event()
        self._hurried = 0
        """How many wait in `fill`."""
        self._making = False
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def ready(self) -> int:
        """Items that can be taken at once."""
        return sum(item.alive for item in self._ready)

    async def take(self) -> tuple[Item, bool]:
        """Return an item, and whether it was ready; it belongs to the caller from then on.

        Without one ready it is made here and now, and what `make` raises comes through. Raises
        PoolClosedError once the pool is closed.
        """
        ready = True
        while True:
            self.want()
            while self._ready:
                item = self._ready.popleft()
                if item.alive:
                    return item, ready
                await item.close()
            ready = False
            if not self._making:
                return await self.make(), False
            # One that is being made will be there sooner than one begun now.
            async with self._changed:
                while self._making and not self._ready:
                    await self._changed.wait()

    def poll(self) -> Item | None:
        """Return an item if one is ready at once; it belongs to the caller from then on."""
        for item in self._ready:
            if item.alive:
                self._ready.remove(item)
                return item
        return None

    async def fill(self, count: int | None = None) -> None:
        """Wait until `count` items are ready (default and most: the pool's size), in a hurry.

        Raises what `make` raised, and PoolClosedError once the pool is closed.
        """
        goal = self._size if count is None else min(count, self._size)
        self._failure = None
        self._hurried += 1
        self._hurry.set()
        try:
            async with self._changed:
                while self.ready < goal:
                    if self._failure is not None:
                        raise self._failure
                    self.want()
                    await self._changed.wait()
        finally:
            self._hurried -= 1
            if self._hurried == 0:
                self._hurry.clear()

    async def close(self) -> None:
        """Stop making and give up all that is ready; may be called again."""
        self._closed = True
        filler, self._filler = self._filler, None
        try:
            if filler is not None:
                filler.cancel()
                await asyncio.wait((filler,))
            await self._announce()
        finally:
            await close_all(self._ready)
            self._ready.clear()

    def want(self) -> None:
        """Have what is missing made, in the background. Raises PoolClosedError."""
        if self._closed:
            raise PoolClosedError("No machine is given out any more: the node is being closed.")
        if self._size == 0:
            return
        self._wanted.set()
        if self._filler is None:
            self._filler = asyncio.create_task(self._keep_filled())

    async def _keep_filled(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self.ready < self._size:
                await self._background_turn()
                await self._bury()
                self._making = True
                try:
                    self._ready.append(await self.make())
                except Exception as error:
                    # The next request makes its own and reports the cause to its user.
                    logger.warning("could not make a machine ahead: %s", error)
                    self._failure = error
                    break
                finally:
                    self._making = False
                    await self._announce()

    async def _bury(self) -> None:
        """Close the dead, whose places are given to others."""
        dead = [item for item in self._ready if not item.alive]
        for item in dead:
            self._ready.remove(item)
        await close_all(dead)

    async def _background_turn(self) -> None:
        """Wait until background work disturbs nobody, or somebody waits for it."""
        patient = self._optional or self.ready > 0
        gap = asyncio.create_task(self._traffic.gap(self._patience_s if patient else 0.0))
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            await asyncio.wait((gap, hurry), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gap.cancel()
            hurry.cancel()

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def close_all(items: Iterable[Closable]) -> None:
    """Close every item even if this is cancelled meanwhile; then let the cancellation through."""
    cancelled: asyncio.CancelledError | None = None
    for item in items:
        try:
            await item.close()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class ReadyMachine:
    """A machine made ahead: it waits for a stream, or is armed if it has a `held` capture.

    Its `instance` is the only reader of its console: what the guest wrote ahead of a request, and
    what of a frame has come, stays with it.
    """

    def __init__(self, machine: Machine, held: HeldCapture | None = None) -> None:
        self.machine = machine
        self.instance = Instance(machine)
        self.held = held

    @property
    def alive(self) -> bool:
        """Whether QEMU still runs."""
        return self.machine.status is None

    async def close(self) -> None:
        """End QEMU and close what reads from it."""
        if self.held is not None:
            self.held.close()
        await self.machine.close()


async def make_waiting(origin: Origin, hardware: Hardware) -> ReadyMachine:
    """Start a machine and give it the head of the origin's stream."""
    ready = ReadyMachine(origin.machine(hardware))
    try:
        await ready.machine.start()
        await prepare(ready.machine, origin)
    except BaseException:
        await ready.close()
        raise
    return ready


async def make_armed(origin: Origin, hardware: Hardware, warm_up: WarmUp | None) -> ReadyMachine:
    """Restore a machine from the origin, arm its held-back capture, and leave it paused.

    `warm_up` is then run on it, so that a request finds the accelerator's translations and the
    host's page copies made; what it writes is part of the delta, which stays exact.
    """
    machine = origin.machine(hardware, paused=True)
    held = HeldCapture(machine, origin)
    ready = ReadyMachine(machine, held)
    try:
        await machine.start()
        await prepare(machine, origin)
        await complete(machine, origin.tail())
        await held.arm()
        if warm_up is not None:
            await machine.execute("cont")
            await warm_up(ready.instance)
            await machine.execute("stop")
    except BaseException:
        await ready.close()
        raise
    return ready
