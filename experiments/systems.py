"""The systems that take the same calls in one run: a SEUSS node, and pools of containers.

All have the same memory: SEUSS as its virtual machine's, a pool by how many containers fit.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.markdown import table
from experiments.peers.errors import PeerError
from experiments.peers.oci import Crun
from experiments.peers.peer import Peer
from experiments.peers.podman import Podman
from experiments.peers.pool import ContainerPool
from orchestrator.function import Function
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from snapshot_store.errors import SeussError

SEUSS = "seuss"
POOLS: Mapping[str, type[Podman] | type[Crun]] = {Podman.name: Podman, Crun.name: Crun}
SYSTEMS = (SEUSS, *POOLS)
TITLES = {SEUSS: "SEUSS (contexts in one node)"} | {
    name: f"pool: {peer.title}" for name, peer in POOLS.items()
}
SAMPLE_CONTAINERS = 3
"""Started before the run, to know how many fit the node's memory."""

Call = Callable[[Function, Mapping[str, Any]], Awaitable[tuple[dict[str, Any], str]]]
"""Calls a function and returns its answer and the path taken; SeussError when it fails."""


@dataclass
class Pools:
    """The pools that a run can use, and why it cannot use the others."""

    peers: dict[str, Peer] = field(default_factory=dict)
    containers: dict[str, int] = field(default_factory=dict)
    """Most containers of each pool."""
    container_bytes: dict[str, float] = field(default_factory=dict)
    """Proportional set size of an idle container, with its monitor, by pool."""
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
            each = await _idle_bytes(peer)
        except PeerError as error:
            pools.unavailable[name] = error.message
            continue
        pools.container_bytes[name] = each
        pools.containers[name] = int(node_mib * 2**20 // each)
    return pools


async def _idle_bytes(peer: Peer) -> float:
    """Return what an idle container takes."""
    started = [await peer.start() for _ in range(SAMPLE_CONTAINERS)]
    try:
        return sum(instance.memory() for instance in started) / len(started)
    finally:
        for instance in started:
            await peer.end(instance)


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
    return table(("pool", "most containers", "MB each (PSS)", "note"), rows)
