"""Machines restored at the snapshot points used last, before anybody asks for them.

A call that goes on from an argument snapshot has two costs that depend on no argument: the memory
comes back by stream, and an emulator translates the guest's code anew, since QEMU drops its
translations when a state comes in. Both are paid here, ahead: the machine stands restored at the
point and has rehearsed what functions do, if its runtime can. It is given nothing of the function's
arguments, so what it answers is what any other machine of that snapshot does.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from orchestrator.errors import PoolClosedError
from orchestrator.machines.command_line import Hardware
from orchestrator.traffic import Traffic
from orchestrator.vm.pool import Pool, ReadyMachine
from orchestrator.vm.restore import Origin, complete, prepare
from orchestrator.vm.tails import Tail

REHEARSAL_DEADLINE_S: Final = 5.0
PATIENCE_S: Final = 0.05
"""Pause between requests before one is made: waiting machines, which serve any call, go first."""
MOST_MISSES: Final = 4
"""Machines given up that nobody had used, less those that somebody had, after which only places
that were just used get one."""


class Ahead:
    """One machine for each of the places used last, `count` of them.

    A place is a function and the named values of its point (`arguments.place_of`).

    Args:
        count: machines kept; 0 keeps none.
        traffic: requests that making them must not disturb.
        retire: ends what is not kept any more, in the background.
    """

    def __init__(
        self, count: int, traffic: Traffic, retire: Callable[[Pool[ReadyMachine]], None]
    ) -> None:
        self._count = count
        self._traffic = traffic
        self._retire = retire
        self._pools: OrderedDict[str, Pool[ReadyMachine]] = OrderedDict()
        self._used: set[str] = set()
        """Places that have a pool out of which a machine was taken."""
        self._remembered: OrderedDict[str, None] = OrderedDict()
        """The `count` places used last, whether or not they have a pool."""
        self._misses = 0

    def take(self, place: str) -> ReadyMachine | None:
        """Return the machine that stands there, if there is one; it is the caller's."""
        pool = self._pools.get(place)
        machine = None if pool is None else pool.poll()
        if machine is not None:
            self._used.add(place)
        return machine

    def expect(self, place: str, make: Callable[[], Awaitable[ReadyMachine]]) -> None:
        """Say that a place was used; the next call there finds a machine, made by `make`."""
        if self._count == 0:
            return
        known = place in self._remembered
        self._remembered[place] = None
        self._remembered.move_to_end(place)
        if len(self._remembered) > self._count:
            self._remembered.popitem(last=False)
        if place not in self._pools:
            # More places in turn than there are machines would never find theirs.
            if self._misses >= MOST_MISSES and not known:
                return
            self._pools[place] = Pool(make, 1, self._traffic, PATIENCE_S, optional=True)
        # The snapshot there may have been taken anew.
        self._pools[place].make = make
        self._pools.move_to_end(place)
        self._pools[place].want()
        if len(self._pools) > self._count:
            gone, pool = self._pools.popitem(last=False)
            missed = gone not in self._used
            self._misses = (
                min(MOST_MISSES, self._misses + 1) if missed else max(0, self._misses - 1)
            )
            self._used.discard(gone)
            self._retire(pool)

    async def fill(self) -> None:
        """Wait until a machine stands at each place expected. Raises what making one does."""
        for pool in list(self._pools.values()):
            with contextlib.suppress(PoolClosedError):  # its place had to go for another meanwhile
                await pool.fill()

    def close(self) -> None:
        """Have every machine ended, and make none from now on."""
        self._count = 0
        while self._pools:
            _, pool = self._pools.popitem()
            self._retire(pool)


async def make_restored(
    origin: Origin, hardware: Hardware, tail: Tail, rehearses: bool
) -> ReadyMachine:
    """Restore a machine from a snapshot at a point, have it rehearse, and leave it paused."""
    ready = ReadyMachine(origin.machine(hardware, paused=True))
    try:
        await ready.machine.start()
        await prepare(ready.machine, origin)
        await complete(ready.machine, tail.stream)
        if rehearses:
            await ready.machine.execute("cont")
            await ready.instance.optimise(REHEARSAL_DEADLINE_S)
            await ready.machine.execute("stop")
    except BaseException:
        await ready.close()
        raise
    return ready
