"""What becomes of descriptors that libvirt is to hand on."""

from __future__ import annotations

import asyncio
import pathlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.machines.accelerator import Accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.libvirt_machine import LibvirtMachine

HARDWARE = Hardware(Accelerator("tcg", "max", "TCG, for tests.", {}), backend="libvirt")


def descriptors() -> set[str]:
    return {each.name for each in pathlib.Path("/proc/self/fd").iterdir()}


async def test_a_command_given_up_before_its_turn_leaves_none_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []

    def command(domain: object, line: str, files: list[int], flags: int) -> tuple[str, None]:
        given.extend(files)
        return '{"return": {}}', None

    monkeypatch.setattr("libvirt_qemu.qemuMonitorCommandWithFiles", command)
    machine: Any = LibvirtMachine(HARDWARE)
    machine._connection = machine._domain = object()
    go_on = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        await asyncio.to_thread(lambda: None)
        before = descriptors()
        busy = asyncio.create_task(asyncio.to_thread(go_on.wait, 10.0))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(machine.hand_over(0, "name"))
        await asyncio.sleep(0.01)
        assert descriptors() > before
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert descriptors() == before
        go_on.set()
        await busy
        await machine.hand_over(0, "name")
        assert len(given) == 1 and descriptors() == before
