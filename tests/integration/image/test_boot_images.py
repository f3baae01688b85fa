"""The guest's own tests: each is a small bootable image that says by QEMU's status how it went."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest

from orchestrator.machines.accelerator import QEMU, TCG_CPU
from orchestrator.machines.command_line import MACHINE_OPTIONS
from orchestrator.settings import Machine

CHECKOUT = pathlib.Path(__file__).parents[3]
BOOT_TESTS = CHECKOUT / "ebbrt_image" / "boot_tests"

PASSED = 33
"""The guest writes 0x10 to isa-debug-exit, and QEMU ends with (0x10 << 1) | 1."""
FAILED = 65
"""A kernel that gives up writes 0x20."""
DEADLINE_S = 60
MEMORY_MIB = 128

MUST_FAIL = "ExceptionTest"
"""The image whose every case ends the kernel; `test.case` on its command line picks one."""
FUZZER = "FuzzTest"
RANDOM_CALLS = 1_000_000
"""How many random system calls the kernel must live through in a run of these tests."""
NAMES = sorted({path.stem for path in BOOT_TESTS.glob("*Test.cc")} - {MUST_FAIL, FUZZER})
MACHINES: list[tuple[Machine, int]] = [("microvm", 1), ("microvm", 4), ("q35", 4)]

OUTPUT = {"UcTest": ["\nhello from ring 3\n"], "BacktraceTest": ["MarkedFunction+0x1\n"]}
"""What an image must say besides."""

REPORTS = {
    "divide": ["divide error (vector 0,", "DivideByZero+0x"],
    "null-write": ["page fault (vector 14, error 2)", "r15 1122334455667788", "WriteToNull+0x"],
    "text-write": ["page fault (vector 14, error 3)", "WriteToText+0x"],
    "data-run": ["page fault (vector 14, error 11)", "outside the kernel's code"],
    "illegal": ["invalid opcode (vector 6,", "RunIllegalInstruction+0x"],
    "strange-read": ["protection (vector 13,", "1234567890abcdef", "ReadStrangeAddress+0x"],
    "stack": ["double fault (vector 8,", "OverflowStack+0x"],
    "user-read": ["page fault (vector 14, error 1)", "cr2 0000000000400000", "TouchUserMemory+0x"],
    "abort": ["KERNEL ABORT", "the number is 42", "AbortInnermost", "AbortOuter+0x"],
    "frame-pointer": ["invalid opcode", "rbp ffffa00000000000", "BreakFramePointer+0x"],
    "print": ["page fault", "kprintf+0x", "FailWhilePrinting+0x"],
    "free-twice": ["KERNEL ABORT", "freed twice", "PageAllocator::Free"],
}
"""What the report of each case must name, in this order."""


def boot(
    name: str, machine: Machine, cores: int, append: str = "", memory_mib: int = MEMORY_MIB
) -> tuple[int, str]:
    """Boot build/tests/`name`.elf and return QEMU's status and what the guest said."""
    command = [
        *(QEMU, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-M", MACHINE_OPTIONS[machine], "-accel", "tcg", "-cpu", TCG_CPU),
        *("-m", str(memory_mib), "-smp", str(cores)),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-debugcon", "stdio"),
        *("-kernel", str(CHECKOUT / "build" / "tests" / f"{name}.elf")),
        *("-append", f"test.cores={cores} {append}"),
    ]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode("utf-8", "replace")
        pytest.fail(f"{name} is not done after {DEADLINE_S} s; it said:\n{said}")
    said = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    return done.returncode, said


@pytest.mark.parametrize(("machine", "cores"), MACHINES)
@pytest.mark.parametrize("name", NAMES)
def test_boot(name: str, machine: Machine, cores: int) -> None:
    status, said = boot(name, machine, cores)
    assert status == PASSED, f"{name} ended with status {status}:\n{said}"
    assert said.endswith("passed\n"), said
    for text in OUTPUT.get(name, []):
        assert text in said, f"{text!r} is not in what {name} said:\n{said}"


def test_kernel_lives_through_random_calls() -> None:
    calls = 0
    for machine, cores in MACHINES:
        status, said = boot(FUZZER, machine, cores)
        assert status == PASSED, f"on {machine}, {cores} cores:\n{said}"
        seed = re.search(r"^(test\.seed=\d+) ", said, re.MULTILINE)
        counts = re.findall(r"^(\d+) random calls", said, re.MULTILINE)
        assert seed is not None and len(counts) == 2, said
        calls += sum(map(int, counts))
        print(f"{machine}, {cores} cores, {seed[1]}: {' + '.join(counts)} calls")
    assert calls >= RANDOM_CALLS


@pytest.mark.parametrize("machine", ["microvm", "q35"])
def test_boot_with_memory_above_4_gib(machine: Machine) -> None:
    status, said = boot("SmpTest", machine, 2, memory_mib=6144)
    assert status == PASSED, said


@pytest.mark.parametrize("case", REPORTS)
def test_failure_is_reported(case: str) -> None:
    status, said = boot(MUST_FAIL, "microvm", 2, f"test.case={case}")
    assert status == FAILED, f"{case} ended with status {status}:\n{said}"
    report = said[said.index("KERNEL ") :]
    assert "on core 1" in report.partition("\n")[0]
    for text in REPORTS[case]:
        assert text in report, f"{text!r} is not in the report of {case}:\n{report}"
        report = report[report.index(text) :]
