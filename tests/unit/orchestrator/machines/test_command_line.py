"""QEMU's command line: what the guest sees, and what a snapshot depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.machines.accelerator import Accelerator
from orchestrator.machines.command_line import Hardware, Wiring, command_line
from orchestrator.settings import Machine

TCG = Accelerator("tcg", "max", "TCG, for tests.", {})
HARDWARE = Hardware(TCG)
WIRING = Wiring(qmp=3, console=4, debug=5)


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


@pytest.mark.parametrize("machine", ["microvm", "q35"])
def test_hardware_is_named(machine: Machine) -> None:
    hardware = Hardware(TCG, machine, memory_mib=96, cores=3)
    command = command_line(hardware, replace(WIRING, kernel=6), "quiet")
    assert option(command, "-M").split(",")[0] == machine
    assert option(command, "-m") == "96M"
    assert option(command, "-smp") == "3"
    assert option(command, "-accel") == "tcg"
    assert option(command, "-kernel") == "/proc/self/fd/6"
    assert option(command, "-append") == "quiet"
    assert f"size={96 << 20}" in option(command, "-object")
    assert "spawn=deny" in option(command, "-sandbox")


def test_machine_to_restore_needs_no_kernel_and_writes_no_file() -> None:
    wiring = replace(WIRING, ram=6, incoming=7)
    command = command_line(HARDWARE, wiring, paused=True)
    assert "-kernel" not in command and "-append" not in command
    assert option(command, "-incoming") == "fd:7"
    assert "share=off,mem-path=/proc/self/fd/6" in option(command, "-object")
    assert command[-1] == "-S"
    assert wiring.descriptors() == (3, 4, 5, 6, 7)
    assert not [word for word in command if "path=" in word and "mem-path=/proc/self" not in word]


def test_node_shares_its_memory_and_sees_the_region_behind_it() -> None:
    wiring = replace(WIRING, ram=6, ram_shared=True, region=7, region_size=64 << 20)
    command = command_line(HARDWARE, wiring)
    backends = [word for word in command if word.startswith("memory-backend-file")]
    assert "id=ram" in backends[0] and "share=on,mem-path=/proc/self/fd/6" in backends[0]
    assert "share=on,readonly=on,mem-path=/proc/self/fd/7" in backends[1]
    nodes = [word for word in command if word.startswith("node,memdev")]
    assert nodes == ["node,memdev=ram", "node,memdev=region"]
    assert option(command, "-m") == "192M"
    assert "memory-backend=" not in option(command, "-M")
    assert 7 in wiring.descriptors()


def test_facts_tell_all_that_restoring_depends_on() -> None:
    facts = HARDWARE.facts("QEMU emulator version 7.2.0")
    assert facts == {
        "accelerator": "tcg",
        "cores": "1",
        "cpu": "max",
        "machine": "microvm",
        "memory_mib": "128",
        "network": "none",
        "qemu": "QEMU emulator version 7.2.0",
    }
    kvm = Hardware(Accelerator("kvm", "host", "KVM, for tests.", {}))
    assert kvm.facts("")["host_cpu"]


@pytest.mark.parametrize(
    ("machine", "card"), [("microvm", "virtio-net-device"), ("q35", "virtio-net-pci")]
)
def test_a_network_card_is_there_only_if_asked_for(machine: Machine, card: str) -> None:
    without = command_line(Hardware(TCG, machine), WIRING)
    assert "-netdev" not in without and not any("virtio-net" in word for word in without)
    command = command_line(Hardware(TCG, machine, network=True), WIRING)
    assert option(command, "-netdev") == "user,id=network,ipv6=off"
    assert any(word.startswith(card) and "netdev=network" in word for word in command)
    assert not any("hostfwd" in word or "guestfwd" in word for word in command)


def test_a_snapshot_fits_no_machine_with_another_network() -> None:
    facts = [Hardware(TCG, network=each).facts("7.2") for each in (False, True)]
    assert [each["network"] for each in facts] == ["none", "user"]
