"""kill -9 of the process that runs machines: QEMU must go with it."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 20.0

HOST = """
import asyncio
from orchestrator.machines.accelerator import Accelerator
from orchestrator.vm.capture import capture_full
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine
from orchestrator.vm.pool import make_armed, make_waiting
from orchestrator.vm.restore import Origin

async def main():
    hardware = Hardware(Accelerator("tcg", "max", "TCG, for tests.", {}), memory_mib=64)
    booted = Machine(hardware)
    await booted.start()
    base = await capture_full(booted)
    origin = Origin(base.blocks, base.pages, base.state)
    waiting = await make_waiting(origin, hardware)
    armed = await make_armed(origin, hardware, None)
    print(booted.pid, waiting.machine.pid, armed.machine.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

MEASURING = """
import asyncio, pathlib, sys
from orchestrator.machines.accelerator import _run_probe

# The test guest waits for commands, so this probe never ends.
asyncio.run(_run_probe(pathlib.Path(sys.argv[1]), "tcg", "max", 600.0))
"""


def children(pid: int) -> list[int]:
    return [
        int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ]


def runs(pid: int) -> bool:
    """Whether a process of this id is alive; a zombie that waits for init is not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_machine_outlives_its_orchestrator(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOST],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as host:
        assert host.stdout is not None
        machines = [int(word) for word in host.stdout.readline().split()]
        assert len(machines) == 3 and all(runs(pid) for pid in machines)
        host.send_signal(how)
        host.wait(DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while any(runs(pid) for pid in machines) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in machines if runs(pid)]


def test_no_probe_outlives_its_orchestrator() -> None:
    probe = ROOT / "build" / "test-guest.elf"
    with subprocess.Popen([sys.executable, "-c", MEASURING, str(probe)], cwd=ROOT) as host:
        deadline = time.monotonic() + DEADLINE_S
        while not (probes := children(host.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert probes and all(runs(pid) for pid in probes)
        host.kill()
    while any(runs(pid) for pid in probes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in probes if runs(pid)]
