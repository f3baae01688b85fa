"""The systems that take the same calls in one run: a SEUSS node, and pools of containers.

All have the same memory: SEUSS as its virtual machine's, a pool by how many containers fit. All
have the host's processors: a pool's containers take turns on them, SEUSS's node has as many of its
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from experiments.markdown import table
from experiments.peers.errors import PeerError
from experiments.peers.oci import Crun
from experiments.peers.peer import Instance, Peer
from experiments.peers.podman import Podman
from experiments.peers.pool import ContainerPool
from orchestrator.function import Function
from orchestrator.settings import MAX_CORES, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from snapshot_store.errors import SeussError

SEUSS = "seuss"
POOLS: Mapping[str, type[Podman] | type[Crun]] = {Podman.name: Podman, Crun.name: Crun}
SYSTEMS = (SEUSS, *POOLS)
TITLES = {SEUSS: "SEUSS (contexts in one node)"} | {
    name: f"pool: {peer.title}" for name, peer in POOLS.items()
}
FEW, MANY = 3, 12
"""Containers started before the run, to know how many fit the node's memory."""
MEMORY = (
    "SEUSS as the memory of its virtual machine, without QEMU's own; the pools as the sum of their "
    "idle containers' proportional set size (PSS), which is generous to them: kernel memory, the "
    "engine's own, and what functions import are not counted."
)
"""What the memory of a node counts, for reports."""

Call = Callable[[Function, Mapping[str, Any]], Awaitable[tuple[dict[str, Any], str]]]
"""Calls a function and returns its answer and the path taken; SeussError when it fails."""


@dataclass
class Pools:
    """The pools that a run can use, and why it cannot use the others."""

    peers: dict[str, Peer] = field(default_factory=dict)
    containers: dict[str, int] = field(default_factory=dict)
    """Most containers of each pool."""
    container_bytes: dict[str, float] = field(default_factory=dict)
    """What one more idle container adds to the proportional set size of all, by pool."""
    unavailable: dict[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def node(self, name: str) -> AsyncIterator[Call]:
        """Yield an empty pool's call; its prewarmed containers are ready."""
        async with ContainerPool(self.peers[name], self.containers[name]) as pool:

            async def call(
                function: Function, arguments: Mapping[str, Any]
            ) -> tuple[dict[str, Any], str]:
                served = await pool.invoke(function.id, function.code, dict(arguments))
                return served.result, served.path

            yield call


async def open_pools(
    stack: contextlib.AsyncExitStack,
    node_mib: int,
    report: Callable[[str, int, int], None],
    network: bool = False,
) -> Pools:
    """Set up every pool that runs here, until `stack` ends, each within `node_mib` of memory.

    With `network`, containers are in the host's network; otherwise they have none.
    """
    pools = Pools()
    for done, (name, kind) in enumerate(POOLS.items()):
        report(f"looking for {name}", done, len(POOLS))
        try:
            peer = pools.peers[name] = await stack.enter_async_context(kind(network))
            shared, each = await idle_bytes(peer)
        except PeerError as error:
            pools.unavailable[name] = error.message
            continue
        pools.container_bytes[name] = each
        pools.containers[name] = int((node_mib * 2**20 - shared) // each)
    return pools


async def idle_bytes(peer: Peer) -> tuple[float, float]:
    """Return what idle containers take together, whatever their number, and what each one adds.

    Of a few containers alone, each would seem to take what a full pool shares.
    """
    started: list[Instance] = []
    sums = []
    try:
        for count in (FEW, MANY):
            while len(started) < count:
                started.append(await peer.start())
            sums.append(await asyncio.to_thread(lambda: sum(each.memory() for each in started)))
    finally:
        for instance in started:
            await peer.end(instance)
    each = (sums[1] - sums[0]) / (MANY - FEW)
    if not 0 < each <= sums[1] / MANY:
        return 0.0, sums[1] / MANY
    return sums[1] - MANY * each, each


def node_settings(settings: Settings, least_mib: int) -> Settings:
    """Return the settings of SEUSS's node: at least so much memory, and the host's processors."""
    return replace(
        settings,
        isolation="uc",
        memory_mib=max(settings.memory_mib, least_mib),
        cores=min(MAX_CORES, len(os.sched_getaffinity(0))),
    )


@contextlib.asynccontextmanager
async def seuss(settings: Settings) -> AsyncIterator[Call]:
    """Yield the call of a node of contexts, which has its base snapshot."""
    async with UcDispatcher(settings) as dispatcher:
        await dispatcher.ensure_base()

        async def call(
            function: Function, arguments: Mapping[str, Any]
        ) -> tuple[dict[str, Any], str]:
            answer = await dispatcher.invoke(function, arguments)
            if answer.error is not None:
                raise SeussError(f"{answer.error.kind}: {answer.error.message}")
            return answer.result or {}, answer.path.value

        yield call


def pools_table(
    containers: Mapping[str, int],
    container_bytes: Mapping[str, float],
    unavailable: Mapping[str, str],
) -> str:
    """Return a report's table of the pools, with the reason where one does not run."""
    rows = []
    for name in POOLS:
        if name in unavailable:
            rows.append((TITLES[name], "-", "-", f"does not run here: {unavailable[name]}"))
        elif name in containers:
            each = f"{container_bytes[name] / 1e6:.1f}"
            rows.append((TITLES[name], str(containers[name]), each, ""))
    return table(("pool", "most containers", "MB that one more adds (PSS)", "note"), rows)
