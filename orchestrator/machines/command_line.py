"""QEMU's command line: the hardware a guest sees, and how the host is wired to it.

Everything the host and QEMU share is an inherited file descriptor: no file or port exists that
could be left behind or that somebody else could open.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.machines.accelerator import QEMU, Accelerator, cpu_model
from orchestrator.settings import Backend
from orchestrator.settings import Machine as MachineType

MIB = 1 << 20
RAM_BLOCK = "ram"
"""Name of guest memory in migration streams: the id of its backend object."""
REGION_BLOCK = "region"
"""Name of the shared region's backend object."""

MIGRATION = (
    # A snapshot is taken of a stopped guest but must run as soon as it is restored.
    "store-global-state=off",
    # Arrival is announced instead of asked for again and again.
    "x-events=on",
    # The socket's reader sets the pace; QEMU's default is 128 MiB/s.
    f"x-max-bandwidth={1 << 50}",
    # While pages are left, QEMU never ends a held-back migration by itself.
    "x-downtime-limit=0",
)
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

MACHINE_OPTIONS: dict[MachineType, str] = {
    # Without ACPI the firmware is qboot (64 KiB, quick), the virtio devices are named on the
    # kernel's command line, and the only RAM block beside guest memory is the firmware's.
    "microvm": "microvm,acpi=off,pic=off,pit=off,rtc=off,isa-serial=off",
    "q35": "q35,hpet=off,smm=off,vmport=off",
}
CONSOLE_BUS: dict[MachineType, list[str]] = {
    "microvm": ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-serial-device"],
    "q35": ["-device", "virtio-serial-pci"],
}


NETWORK_CARD: dict[MachineType, str] = {
    "microvm": "virtio-net-device",
    "q35": "virtio-net-pci,disable-legacy=on,romfile=",
}


@dataclass(frozen=True)
class Hardware:
    """What a guest runs on. A snapshot only fits machines of the same hardware."""

    accelerator: Accelerator
    machine: MachineType = "microvm"
    memory_mib: int = 128
    cores: int = 1
    backend: Backend = "process"
    """Who runs it; the guest sees no difference, and a snapshot of one restores in the other."""
    network: bool = False
    """Whether there is a network card, on a user-mode network of its own."""

    @property
    def memory(self) -> int:
        """Guest memory in bytes."""
        return self.memory_mib * MIB

    def facts(self, qemu_version: str) -> dict[str, str]:
        """Return what a snapshot taken on this hardware depends on, by name."""
        facts = {
            "accelerator": self.accelerator.name,
            "cores": str(self.cores),
            "cpu": self.accelerator.cpu,
            "machine": self.machine,
            "memory_mib": str(self.memory_mib),
            "network": "user" if self.network else "none",
            "qemu": qemu_version,
        }
        if self.accelerator.name == "kvm":
            # With -cpu host the guest has seen this very CPU's features.
            facts["host_cpu"] = cpu_model()
        return facts


@dataclass(frozen=True)
class Wiring:
    """Descriptors that QEMU inherits, and what it does with them.

    `ram` is a file that guest memory starts from, mapped privately unless `ram_shared`; None gives
    anonymous memory. `region` is a file of `region_size` bytes that the guest sees, and cannot
    write, as memory right behind its own.
    `incoming` is a socket that the machine's state will come from; `kernel` is the ELF of a guest
    that boots. `monitor` is a listening socket for a debugger's QMP.
    """

    qmp: int
    console: int
    debug: int
    ram: int | None = None
    incoming: int | None = None
    kernel: int | None = None
    monitor: int | None = None
    ram_shared: bool = False
    region: int | None = None
    region_size: int = 0

    def descriptors(self) -> tuple[int, ...]:
        """Return all descriptors that must be inherited."""
        needed = (self.qmp, self.console, self.debug)
        optional = (self.ram, self.incoming, self.kernel, self.monitor, self.region)
        return needed + tuple(fd for fd in optional if fd is not None)


def network_words(hardware: Hardware) -> list[str]:
    """Return the options that give a machine its card, on a user-mode network of its own."""
    return [
        # No port of the host is opened: nothing outside can begin a connection.
        *("-netdev", "user,id=network,ipv6=off"),
        *("-device", f"{NETWORK_CARD[hardware.machine]},netdev=network"),
    ]


def command_line(
    hardware: Hardware,
    wiring: Wiring,
    append: str = "",
    paused: bool = False,
) -> list[str]:
    """Return the command that starts QEMU.

    `append` is the kernel's command line. A machine that is restored needs neither it nor a kernel:
    all they left in memory comes with the snapshot. `paused` keeps the guest from running until
    `cont`.
    """
    backend = f"id={RAM_BLOCK},size={hardware.memory}"
    if wiring.ram is None:
        ram = f"memory-backend-ram,{backend}"
    else:
        share = "on" if wiring.ram_shared else "off"
        ram = f"memory-backend-file,{backend},share={share},mem-path=/proc/self/fd/{wiring.ram}"
    memory = ["-object", ram]
    backing = f",memory-backend={RAM_BLOCK}"
    if wiring.region is not None:
        memory += [
            *("-object", f"memory-backend-file,id={REGION_BLOCK},size={wiring.region_size}"),
            *("-numa", f"node,memdev={RAM_BLOCK}", "-numa", f"node,memdev={REGION_BLOCK}"),
        ]
        memory[3] += f",share=on,readonly=on,mem-path=/proc/self/fd/{wiring.region}"
        backing = ""
    megabytes = (hardware.memory + wiring.region_size) // MIB
    command = [
        *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", SANDBOX, "-name", "seuss,process=seuss-node,debug-threads=on"),
        *("-accel", hardware.accelerator.name, "-cpu", hardware.accelerator.cpu),
        *("-smp", str(hardware.cores), "-m", f"{megabytes}M", *memory, "-M"),
        f"{MACHINE_OPTIONS[hardware.machine]}{backing},suppress-vmdesc=on,dump-guest-core=off",
        *(word for option in MIGRATION for word in ("-global", f"migration.{option}")),
        *("-chardev", f"socket,id=qmp,fd={wiring.qmp}", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"socket,id=debug,fd={wiring.debug}"),
        *("-device", "isa-debugcon,iobase=0xe9,chardev=debug"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *("-chardev", f"socket,id=console,fd={wiring.console}"),
        *CONSOLE_BUS[hardware.machine],
        *("-device", "virtconsole,chardev=console"),
    ]
    if hardware.network:
        command += network_words(hardware)
    if wiring.monitor is not None:
        command += [
            *("-chardev", f"socket,id=monitor,fd={wiring.monitor},server=on,wait=off"),
            *("-mon", "chardev=monitor,mode=control"),
        ]
    if wiring.kernel is not None:
        command += ["-kernel", f"/proc/self/fd/{wiring.kernel}"]
        if append:
            command += ["-append", append]
    if wiring.incoming is not None:
        command += ["-incoming", f"fd:{wiring.incoming}"]
    if paused:
        command.append("-S")
    return command
