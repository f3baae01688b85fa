"""The guest's own tests: each is a small bootable image that says by QEMU's status how it went."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from orchestrator.accelerator import QEMU, TCG_CPU
from orchestrator.command_line import MACHINE_OPTIONS
from orchestrator.settings import Machine

CHECKOUT = pathlib.Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (CHECKOUT / "ebbrt_image" / "boot_tests").glob("*Test.cc"))

PASSED = 33
"""The guest writes 0x10 to isa-debug-exit, and QEMU ends with (0x10 << 1) | 1."""
DEADLINE_S = 120
MEMORY_MIB = 128


@pytest.mark.parametrize(
    ("machine", "cores"),
    [("microvm", 1), ("microvm", 2), ("microvm", 4), ("q35", 1), ("q35", 4)],
)
@pytest.mark.parametrize("name", NAMES)
def test_boot(name: str, machine: Machine, cores: int) -> None:
    command = [
        *(QEMU, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-M", MACHINE_OPTIONS[machine], "-accel", "tcg", "-cpu", TCG_CPU),
        *("-m", str(MEMORY_MIB), "-smp", str(cores)),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-debugcon", "stdio"),
        *("-kernel", str(CHECKOUT / "build" / "tests" / f"{name}.elf")),
    ]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode("utf-8", "replace")
        pytest.fail(f"{name} is not done after {DEADLINE_S} s; it said:\n{said}")
    said = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    assert done.returncode == PASSED, f"{name} ended with status {done.returncode}:\n{said}"
