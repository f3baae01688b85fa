"""Crowds: idle instances of one system, all there at once, for the density experiment.

Each instance has imported NOP and waits for a call. Memory is the proportional set size (PSS) of
the instances' processes, where what several share is split among them, and what the host's kernel
is known to keep for them: page tables, or all that is charged to their control group. What
instances are made from (a zygote, an engine, an image) is not in it, while of a node of contexts
all is counted. That favours the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.own_stores import own_stores
from experiments.peers import line_up
from experiments.peers.errors import PeerError
from experiments.peers.peer import page_tables, proportional_set
from experiments.workloads import NOP
from orchestrator.paths import Path
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.vm.keeping import Keeping
from orchestrator.vm.node import VmNode
from orchestrator.vm.restore import complete
from snapshot_store.errors import SeussError

VM = "vm"
TITLES: Mapping[str, str] = {VM: "SEUSS, a machine each (vm)"} | {
    name: kind.title for name, kind in line_up.PEERS.items()
}
LIMIT_S = 60.0
ASKED = 3
"""Instances of each crowd that must answer."""

Sizes = Mapping[str, int]
"""Instances by system."""
SIZES: Mapping[str, Sizes] = {
    scale: dict(zip(TITLES, counts, strict=True))
    for scale, counts in {
        "quick": (4, 20, 60, 8, 8, 4, 1, 4, 4),
        "default": (16, 200, 400, 60, 60, 60, 3, 12, 12),
        "full": (64, 1000, 2000, 400, 400, 400, 8, 64, 64),
    }.items()
}
"""By the suite's scale."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Crowd:
    """Idle instances of one system. All were there after `seconds`, `workers` made at a time."""

    system: str
    workers: int
    seconds: float
    start_ms: list[float]
    """Of each instance, until it had imported the function."""
    memory: int
    """PSS of all together, in bytes."""
    kernel_memory: int
    """Of the host's kernel for them, in bytes, as far as is known."""
    wrong: list[str]
    """What of the instances asked did not answer right."""

    @property
    def instances(self) -> int:
        """How many there were."""
        return len(self.start_ms)

    @property
    def per_gib(self) -> float:
        """Instances per GiB of memory."""
        return self.instances * 2**30 / (self.memory + self.kernel_memory)

    @property
    def rate(self) -> float:
        """Instances created per second."""
        return self.instances / self.seconds


@dataclass(frozen=True)
class _Member:
    """One instance of a crowd: its processes, and how it is called."""

    pids: Sequence[int]
    call: Callable[[dict[str, Any]], Awaitable[object]]


@dataclass(frozen=True)
class _System:
    """How an instance is started, and what the host's kernel keeps for those there are."""

    start: Callable[[], Awaitable[_Member]]
    kernel_memory: Callable[[], int]


async def gather(
    settings: Settings, sizes: Sizes, accelerator: str, folder: pathlib.Path, report: Report
) -> AsyncIterator[tuple[str, Crowd | str]]:
    """Create each system's crowd in turn; yield its name with it, or with why it cannot be here.

    Args:
        settings: of SEUSS's own machines; their memory is that of the isolation vm.
        sizes: instances of each system; one that is missing is passed over.
        accelerator: what runs Linux guests, the same as SEUSS's.
        folder: for a snapshot store, which is removed.
        report: told the progress.
    """
    for done, (name, count) in enumerate(sizes.items()):
        report(f"creating {TITLES[name]}", done, len(sizes))
        try:
            async with _entered(name, settings, accelerator, folder) as system:
                crowd = await _crowd(name, system, count)
        except SeussError as error:
            yield name, error.message
        else:
            yield name, crowd


async def _crowd(name: str, system: _System, count: int) -> Crowd:
    members: list[_Member] = []
    start_ms: list[float] = []
    workers = len(os.sched_getaffinity(0))
    waiting = iter(range(count))

    async def work() -> None:
        for _ in waiting:
            started = time.perf_counter()
            members.append(await system.start())
            start_ms.append((time.perf_counter() - started) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    seconds = time.perf_counter() - began
    pids = [pid for each in members for pid in each.pids]
    memory = await asyncio.to_thread(lambda: sum(map(proportional_set, pids)))
    kernel_memory = system.kernel_memory()
    expected = await asyncio.to_thread(NOP.expected)
    wrong = []
    for member in members[:: max(1, count // ASKED)]:
        answer = await member.call(NOP.arguments)
        if answer != expected:
            wrong.append(f"{TITLES[name]}: {answer}")
    return Crowd(name, workers, seconds, start_ms, memory, kernel_memory, wrong)


@contextlib.asynccontextmanager
async def _entered(
    name: str, settings: Settings, accelerator: str, folder: pathlib.Path
) -> AsyncIterator[_System]:
    if name == VM:
        with own_stores(folder) as stores:
            own = replace(settings, isolation="vm", memory_mib=DEFAULT_MEMORY_MIB["vm"])
            async with _machines(replace(own, store=stores / "vm", pool_size=0)) as machines:
                yield machines
        return
    async with line_up.make(name, accelerator) as peer:

        async def start() -> _Member:
            instance = await peer.start()
            await instance.load(NOP.source)
            return _Member(instance.pids, instance.call)

        yield _System(start, peer.kernel_memory)


@contextlib.asynccontextmanager
async def _machines(settings: Settings) -> AsyncIterator[_System]:
    """Restore each machine from NOP's snapshot."""
    function = NOP.function()
    async with VmDispatcher(settings) as dispatcher:
        first = await dispatcher.invoke(function, NOP.arguments, Path.COLD)
        if first.error is not None:
            raise PeerError(f"NOP cannot be captured: {first.error.message}")
    async with VmNode(settings) as node, contextlib.AsyncExitStack() as stack:
        base = await node.base()
        tail = await Keeping(node).settled(base, function)
        if tail is None:
            raise PeerError("NOP's snapshot was not stored. Look at the log and the free disk.")
        stream = tail.stream
        pids: list[int] = []

        async def start() -> _Member:
            ready = (await base.waiting.take())[0]
            stack.push_async_callback(ready.close)
            await complete(ready.machine, stream)
            await ready.instance.synchronise()
            pids.append(ready.machine.pid)
            return _Member(pids[-1:], lambda given: ready.instance.invoke(given, LIMIT_S))

        yield _System(start, lambda: sum(map(page_tables, pids)))
