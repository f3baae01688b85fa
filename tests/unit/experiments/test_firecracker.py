"""The peer Firecracker: its settings, why it cannot be, and a guest that talks through it."""

from __future__ import annotations

import asyncio
import os
import pathlib
import subprocess

import pytest

from experiments.peers import firecracker, line_up, linux_guest
from experiments.peers.errors import PeerError
from experiments.peers.firecracker import Firecracker, configuration
from orchestrator.errors import AcceleratorError
from orchestrator.machines import accelerator
from orchestrator.machines.accelerator import Accelerator

KVM = Accelerator("kvm", "host", "KVM, for tests.", {})
TCG = Accelerator("tcg", "max", "TCG, because there is no /dev/kvm.", {})
GUEST = """
.globl _start
_start: mov $0x20000, %esi              # where Firecracker puts the command line
1:      lodsb
        test %al, %al
        jnz 1b
        mov -2(%rsi), %bl               # its last letter: the caller's name
        lea ready(%rip), %rsi
        call say
        mov %bl, %al
        call put
        mov $10, %al
        call put
2:      mov $0x3fd, %dx                 # a line for a line
        in (%dx), %al
        test $1, %al
        jz 2b
        mov $0x3f8, %dx
        in (%dx), %al
        cmp $10, %al
        jne 2b
        lea answer(%rip), %rsi
        call say
        jmp 2b
say:    lodsb
        test %al, %al
        jz 3f
        call put
        jmp say
put:    mov $0x3f8, %dx
        out %al, (%dx)
3:      ret
ready:  .asciz "ready "
answer: .asciz "(True, {'guest': 1})\\n"
"""
"""Answers on the first serial port without Linux: few instructions run under any KVM."""


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Accelerator | AcceleratorError]:
    """What the next looks for an accelerator find; KVM when it is empty."""
    verdicts: list[Accelerator | AcceleratorError] = []

    async def choose(choice: str, probe: pathlib.Path) -> Accelerator:
        assert (choice, probe.name) == ("auto", "accelerator-probe.elf")
        found = verdicts.pop() if verdicts else KVM
        if isinstance(found, AcceleratorError):
            raise found
        return found

    monkeypatch.setattr(accelerator, "choose", choose)
    return verdicts


def test_settings_name_the_guest_and_its_caller(tmp_path: pathlib.Path) -> None:
    found = configuration(tmp_path, "17")
    source = found["boot-source"]
    assert isinstance(source, dict)
    assert source["kernel_image_path"] == str(tmp_path / "vmlinux")
    assert source["initrd_path"] == str(tmp_path / "ramdisk")
    words = source["boot_args"].split()
    # What follows the two dashes is the first process's, so the kernel's own must stand before.
    assert words[words.index("--") :] == ["--", "-S", "-I", "/caller.py", "/dev/ttyS0", "17"]
    assert {"reboot=k", "pci=off", "8250.nr_uarts=1"} < set(words[: words.index("--")])
    assert "reboot=t" not in words
    assert found["machine-config"] == {"vcpu_count": 1, "mem_size_mib": linux_guest.MEMORY_MIB}


def test_it_stands_among_the_peers() -> None:
    assert isinstance(line_up.make("firecracker", "tcg"), Firecracker)
    # It never runs by what the others' guests run by.
    assert line_up.title("firecracker", "tcg") == "Linux in Firecracker (KVM)"


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (TCG, r"needs KVM, and machines here run by TCG, because there is no /dev/kvm\."),
        (AcceleratorError("The probe does not run."), r"needs KVM.*The probe does not run\."),
        (KVM, r"no Firecracker in .*/absent\. Run `make peers`"),
    ],
    ids=("no KVM", "no probe", "no binary"),
)
async def test_why_it_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    judged: list[Accelerator | AcceleratorError],
    verdict: Accelerator | AcceleratorError,
    reason: str,
) -> None:
    monkeypatch.setattr(firecracker, "PROGRAM", tmp_path / "absent" / "firecracker")
    judged.append(verdict)
    with pytest.raises(PeerError, match=reason):
        async with Firecracker():
            pass


@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (
            'while [ "$1" != --log-path ]; do shift; done; echo "no memory" >"$2"',
            "ended.*no memory",
        ),
        ("echo ready 7; exec sleep 60", r"not ready in Firecracker after 0\.2 s.*said nothing"),
    ],
    ids=("ends", "is silent"),
)
async def test_what_it_said_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, does: str, reason: str
) -> None:
    stub = tmp_path / "firecracker"
    stub.write_text(f"#!/bin/sh\n{does}\n")
    stub.chmod(0o755)
    monkeypatch.setattr(firecracker, "PROGRAM", stub)
    monkeypatch.setattr(firecracker, "READY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(linux_guest, "write", lambda target: None)
    with pytest.raises(PeerError, match=reason):
        async with Firecracker():
            pass


@pytest.fixture
def fetched() -> pathlib.Path:
    """The real binary."""
    if not firecracker.PROGRAM.exists():
        pytest.skip(f"There is no {firecracker.PROGRAM}: make peers")
    return firecracker.PROGRAM


def test_the_binary_runs(fetched: pathlib.Path) -> None:
    said = subprocess.run([fetched, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("Firecracker v1.")


@pytest.mark.usefixtures("judged", "fetched")
async def test_a_guest_talks_through_its_serial_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    obstacle = accelerator.kvm_obstacle()
    if obstacle is not None:
        pytest.skip(obstacle)

    def write(folder: pathlib.Path) -> None:
        (folder / linux_guest.RAMDISK).write_bytes(bytes(4096))
        (tmp_path / "guest.s").write_text(GUEST)
        subprocess.run(["as", "-o", tmp_path / "guest.o", tmp_path / "guest.s"], check=True)
        target = folder / linux_guest.KERNEL
        subprocess.run(
            ["ld", "-static", "-Ttext=0x1000000", "-o", target, tmp_path / "guest.o"], check=True
        )

    monkeypatch.setattr(linux_guest, "write", write)
    async with Firecracker() as peer:
        instance = await peer.start()
        assert await instance.call({}, b"x" * 5000) == {"guest": 1}
        assert instance.memory() > 100_000
        await instance.pause()
        call = asyncio.create_task(instance.call({}))
        await asyncio.sleep(0.05)
        assert not call.done()
        await instance.resume()
        assert await call == {"guest": 1}
        pid = instance.pids[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
