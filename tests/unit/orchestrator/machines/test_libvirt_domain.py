"""The XML by which libvirt runs a machine."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from xml.etree import ElementTree

from orchestrator.machines.accelerator import Accelerator
from orchestrator.machines.backend import machine_type
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.libvirt_domain import QEMU_SPACE, Files, domain_xml
from orchestrator.machines.machine import Machine

HARDWARE = Hardware(Accelerator("tcg", "max", "TCG, for tests.", {}), memory_mib=96, cores=3)
FILES = Files(pathlib.Path("/x/debug"), pathlib.Path("/x/a,b/ram"), pathlib.Path("/x/kernel"))


def described(**options: bool) -> tuple[ElementTree.Element, list[str]]:
    xml = domain_xml("seuss-1", HARDWARE, "/bin/qemu", FILES, append='<"&', **options)
    root = ElementTree.fromstring(xml)
    return root, [each.attrib["value"] for each in root.iter(f"{{{QEMU_SPACE}}}arg")]


def test_domain_is_the_machine() -> None:
    root, words = described()
    assert root.attrib["type"] == "qemu" and root.findtext("name") == "seuss-1"
    assert root.findtext("memory") == str(96 * 1024) and root.findtext("vcpu") == "3"
    kind = root.find("os/type")
    assert kind is not None and kind.attrib["machine"] == "microvm"
    assert words[words.index("-cpu") + 1] == "max"
    assert words[words.index("-append") + 1] == '<"&'
    assert "-incoming" not in words and root.find("memtune") is None


def test_card_is_the_machines_own() -> None:
    networked = replace(HARDWARE, network=True)
    xml = domain_xml("seuss-1", networked, "/bin/qemu", FILES)
    assert all(word in xml for word in ("user,id=network", "virtio-net-device,netdev=network"))
    assert not any("netdev" in word for word in described()[1])


def test_comma_in_a_path_begins_no_option() -> None:
    _, words = described()
    [memory] = [word for word in words if word.startswith("memory-backend-file")]
    assert memory.endswith("share=off,mem-path=/x/a,,b/ram")


def test_memory_is_bounded_where_libvirt_can() -> None:
    root, words = described(bounded=True, incoming=True)
    limit = root.findtext("memtune/hard_limit")
    assert limit is not None and int(limit) > 96 * 1024
    assert words[words.index("-incoming") + 1] == "defer"


def test_kvm_domain_is_of_its_type() -> None:
    hardware = Hardware(Accelerator("kvm", "host", "KVM, for tests.", {}))
    xml = domain_xml("seuss-1", hardware, "/bin/qemu", FILES)
    assert ElementTree.fromstring(xml).attrib["type"] == "kvm"


def test_own_processes_need_no_libvirt() -> None:
    assert machine_type(HARDWARE) is Machine
