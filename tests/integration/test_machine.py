"""Machines: real QEMU processes, their ends, and what they leave behind (nothing)."""

from __future__ import annotations

import asyncio
import pathlib
import resource
from dataclasses import replace

import pytest

from orchestrator.errors import MachineError
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import EXIT_FAILURE, EXIT_SUCCESS, Machine
from orchestrator.settings import Machine as MachineType
from tests.integration.guests import holdings, obey


@pytest.mark.parametrize(("value", "status"), [(0x10, EXIT_SUCCESS), (0x20, EXIT_FAILURE)])
async def test_guest_ends_qemu_with_its_verdict(
    hardware: Hardware, test_guest: pathlib.Path, value: int, status: int
) -> None:
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        with pytest.raises(AssertionError, match="ended"):
            await obey(machine, "x", value)
        assert await machine.wait() == status
        assert machine.debug_output == b"ready\nobedient\n"


@pytest.mark.parametrize("machine_type", ["microvm", "q35"])
async def test_boots_on_both_machine_types_with_several_cores(
    hardware: Hardware, small_guests: pathlib.Path, machine_type: MachineType
) -> None:
    chosen = replace(hardware, machine=machine_type, cores=2)
    async with Machine(chosen, kernel=small_guests / "accelerator-probe.elf") as machine:
        assert await machine.wait() == EXIT_SUCCESS
        assert machine.debug_output.split() == [b"start", b"ring0", b"ring3", b"calls"]


async def test_errors_tell_command_status_and_last_words(
    hardware: Hardware, test_guest: pathlib.Path
) -> None:
    async with Machine(hardware, kernel=test_guest) as machine:
        await obey(machine, "p")
        with pytest.raises(MachineError, match="refused no-such-command"):
            await machine.execute("no-such-command")
        assert (await machine.execute("query-status"))["status"] == "running"
        with pytest.raises(AssertionError):
            await obey(machine, "x", 0x20)
        await machine.wait()
        with pytest.raises(MachineError, match="guest ended with failure") as caught:
            await machine.execute("query-status")
    assert "obedient" in caught.value.log_tail
    assert "-kernel" in caught.value.command


async def test_kernel_that_is_none_is_named(hardware: Hardware, tmp_path: pathlib.Path) -> None:
    before = holdings()
    with pytest.raises(MachineError, match=r"missing\.elf cannot be opened"):
        await Machine(hardware, kernel=tmp_path / "missing.elf").start()
    assert holdings() == before


async def test_waiting_ends_when_qemu_ends(hardware: Hardware, test_guest: pathlib.Path) -> None:
    async with Machine(hardware, kernel=test_guest) as machine:
        await obey(machine, "p")
        endless = asyncio.create_task(machine.unless_ended(asyncio.Event().wait()))
        await machine.send(b"x\x10" + bytes(10))
        with pytest.raises(MachineError, match="ended with success"):
            await endless


async def test_hung_guest_can_still_be_closed(hardware: Hardware, test_guest: pathlib.Path) -> None:
    before = holdings()
    async with Machine(hardware, kernel=test_guest) as machine:
        await machine.send(b"h" + bytes(11))
        await asyncio.sleep(0.05)
    await machine.close()
    assert holdings() == before


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 40])
async def test_cancelled_at_any_time_leaves_nothing(
    hardware: Hardware, test_guest: pathlib.Path, turns: int
) -> None:
    before = holdings()

    async def use() -> None:
        async with Machine(hardware, kernel=test_guest) as machine:
            while True:
                await obey(machine, "p")

    task = asyncio.create_task(use())
    for _ in range(turns):
        await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert holdings() == before


@pytest.mark.parametrize("spare", [0, 2, 4, 6])
async def test_too_few_descriptors_are_told_and_nothing_is_left(
    hardware: Hardware, test_guest: pathlib.Path, spare: int
) -> None:
    before = holdings()
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] + spare, most))
    try:
        with pytest.raises(MachineError, match="Too many open files"):
            async with Machine(hardware, kernel=test_guest):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    assert holdings() == before
