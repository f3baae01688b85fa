"""A machine as libvirt describes it: the XML of a transient domain.

libvirt knows no device of ours, so the machine is described by QEMU's own words in the domain
(`qemu:commandline`); what libvirt adds (its monitor, its sandbox) changes nothing the guest sees.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from xml.etree import ElementTree

from orchestrator.machines.command_line import (
    CONSOLE_BUS,
    MACHINE_OPTIONS,
    MIGRATION,
    RAM_BLOCK,
    Hardware,
    network_words,
)

QEMU_SPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
AROUND_RAM_KIB = 1 << 20
"""KiB that QEMU may take beside guest memory, where libvirt can bound it."""

ElementTree.register_namespace("qemu", QEMU_SPACE)


@dataclass(frozen=True)
class Files:
    """What the domain's QEMU finds in the file system: it inherits nothing from us.

    `debug` is a socket that the host listens on; `ram` is a file that guest memory starts from,
    None for empty memory; `kernel` the image of a guest that boots.
    """

    debug: pathlib.Path
    ram: pathlib.Path | None = None
    kernel: pathlib.Path | None = None


def domain_xml(
    name: str,
    hardware: Hardware,
    emulator: str,
    files: Files,
    *,
    append: str = "",
    incoming: bool = False,
    bounded: bool = False,
) -> str:
    """Return the domain's description. `bounded` sets a limit to its memory, which takes cgroups.

    `incoming` leaves the guest waiting for `migrate-incoming`.
    """
    kind = "kvm" if hardware.accelerator.name == "kvm" else "qemu"
    domain = ElementTree.Element("domain", type=kind)
    _child(domain, "name", name)
    memory = hardware.memory >> 10
    _child(domain, "memory", str(memory), unit="KiB")
    if bounded:
        tune = ElementTree.SubElement(domain, "memtune")
        _child(tune, "hard_limit", str(memory + AROUND_RAM_KIB), unit="KiB")
    _child(domain, "vcpu", str(hardware.cores))
    system = ElementTree.SubElement(domain, "os")
    _child(system, "type", "hvm", arch="x86_64", machine=hardware.machine)
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        _child(domain, event, "destroy")
    devices = ElementTree.SubElement(domain, "devices")
    _child(devices, "emulator", emulator)
    ElementTree.SubElement(devices, "memballoon", model="none")
    ElementTree.SubElement(devices, "controller", type="usb", model="none")
    line = ElementTree.SubElement(domain, f"{{{QEMU_SPACE}}}commandline")
    for word in _words(hardware, files, append, incoming):
        ElementTree.SubElement(line, f"{{{QEMU_SPACE}}}arg", value=word)
    return ElementTree.tostring(domain, encoding="unicode")


def _words(hardware: Hardware, files: Files, append: str, incoming: bool) -> list[str]:
    backend = f"id={RAM_BLOCK},size={hardware.memory}"
    if files.ram is None:
        memory = f"memory-backend-ram,{backend}"
    else:
        memory = f"memory-backend-file,{backend},share=off,mem-path={_escaped(files.ram)}"
    options = MACHINE_OPTIONS[hardware.machine].partition(",")[2]
    words = [
        *("-object", memory, "-machine"),
        f"{options},memory-backend={RAM_BLOCK},suppress-vmdesc=on",
        *("-cpu", hardware.accelerator.cpu),
        *(word for option in MIGRATION for word in ("-global", f"migration.{option}")),
        *("-chardev", f"socket,id=debug,path={_escaped(files.debug)}"),
        *("-device", "isa-debugcon,iobase=0xe9,chardev=debug"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *CONSOLE_BUS[hardware.machine],
        # The console itself is plugged in before the guest runs: its socket cannot be inherited.
    ]
    if hardware.network:
        words += network_words(hardware)
    if files.kernel is not None:
        words += ["-kernel", str(files.kernel)]
        if append:
            words += ["-append", append]
    if incoming:
        words += ["-incoming", "defer"]
    return words


def _child(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text


def _escaped(path: pathlib.Path) -> str:
    """Return a path as QEMU's options take it: a comma would begin the next one."""
    return str(path).replace(",", ",,")
