"""The peer "Linux VM with a network card", on a user-mode network as SEUSS's machines have."""

from __future__ import annotations

import pathlib
import shutil

from experiments.peers import linux_kernel
from experiments.peers.errors import PeerError
from experiments.peers.linux_microvm import LinuxMicroVm

PROGRAM = pathlib.Path(__file__).with_name("linux_network_program.py")
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net"),
)
"""In the order in which they need each other."""


class NetworkedMicroVm(LinuxMicroVm):
    """Boots for each instance, on q35: Debian's kernel finds no virtio card on a microvm's bus."""

    name = "linux-vm-network"
    title = "Linux VM with a network card"
    machine = "q35,memory-backend=ram"
    card = (
        *("-netdev", "user,id=network,ipv6=off"),
        *("-device", "virtio-net-pci,romfile=,netdev=network"),
    )
    program = f"/{PROGRAM.name}"

    def _furnish(self, root: pathlib.Path) -> None:
        super()._furnish(root)
        shutil.copy2(PROGRAM, root / PROGRAM.name)
        (root / "modules").mkdir()
        for number, name in enumerate(MODULES):
            found = sorted((linux_kernel.FOLDER / "lib" / "modules").rglob(f"{name}.ko"))
            if not found:
                raise PeerError(
                    f"The Linux kernel in {linux_kernel.FOLDER} has no module {name}. "
                    "Remove build/peers and run `make peers`."
                )
            shutil.copy2(found[-1], root / "modules" / f"{number:02}-{name}.ko")
