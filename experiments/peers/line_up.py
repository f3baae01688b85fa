"""The peers that stand beside SEUSS in experiments, and how each is made."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.peers.criu import Criu
from experiments.peers.firecracker import Firecracker
from experiments.peers.linux_microvm import LinuxMicroVm, RestoredMicroVm
from experiments.peers.linux_process import LinuxProcess
from experiments.peers.oci import Crun
from experiments.peers.peer import Peer
from experiments.peers.podman import Podman
from experiments.peers.zygote import Zygote
from orchestrator.machines.accelerator import TCG_CPU

PEERS: Mapping[str, type[Peer]] = {
    kind.name: kind
    for kind in (
        *(LinuxProcess, Zygote, Criu, Crun, Podman),
        *(LinuxMicroVm, RestoredMicroVm, Firecracker),
    )
}
"""By name, in the order of reports."""


def make(name: str, accelerator: str) -> Peer:
    """Return a peer, not yet entered; `accelerator` runs its guest, where it has one."""
    kind = PEERS[name]
    return kind(*processor(accelerator)) if issubclass(kind, LinuxMicroVm) else kind()


def processor(accelerator: str) -> tuple[str, str]:
    """Return the accelerator with the model of processor that guests get there."""
    return accelerator, TCG_CPU if accelerator == "tcg" else "host"


def title(name: str, accelerator: str) -> str:
    """Return a peer's title with, where it has a guest, what runs that."""
    kind = PEERS[name]
    return f"{kind.title} ({accelerator.upper()})" if issubclass(kind, LinuxMicroVm) else kind.title
