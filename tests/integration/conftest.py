"""Guests and hardware for the tests with real QEMU."""

from __future__ import annotations

import pathlib
import signal

import pytest

from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import Hardware
from tests.integration.making import make

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Commands under test can be interrupted even where these tests run in a shell's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small_guests() -> pathlib.Path:
    """The folder with accelerator-probe.elf and test-guest.elf, built if they are not."""
    make(ROOT / "ebbrt_image" / "probe", BUILD)
    return BUILD


@pytest.fixture(scope="session")
def test_guest(small_guests: pathlib.Path) -> pathlib.Path:
    """The guest that obeys `guests.obey`."""
    return small_guests / "test-guest.elf"


@pytest.fixture(scope="session")
def hardware() -> Hardware:
    """A small microvm under TCG, which every machine can run."""
    return Hardware(Accelerator("tcg", TCG_CPU, "TCG, for tests.", {}), memory_mib=64)
