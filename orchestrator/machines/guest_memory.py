"""Guest memory read out of a running QEMU: the truth that captures are held against."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.machines.machine import Machine
from snapshot_store.pageset import PAGE_SIZE

_HOST_ADDRESS = re.compile(r" is (0x[0-9a-f]+)\s*$")


async def memory_of(machine: Machine) -> npt.NDArray[np.uint8]:
    """Return guest memory in pages, shape (n, 4096), as QEMU's process holds it now.

    What the firmware hides is told as the memory below it. A stopped guest's is consistent. Needs a
    child process, or the capability to trace others. Raises MachineError.
    """
    told = await machine.execute("human-monitor-command", command_line="gpa2hva 0")
    found = _HOST_ADDRESS.search(told)
    if found is None:
        raise machine.error(f"QEMU does not tell where guest memory lies: {told.strip()!r}")
    size = machine.hardware.memory
    try:
        data = await asyncio.to_thread(_read, machine.pid, int(found[1], 16), size)
    except OSError as error:
        raise machine.error(f"Guest memory cannot be read ({error.strerror})") from error
    if len(data) != size:
        raise machine.error(f"Guest memory ended after {len(data)} of {size} bytes")
    return np.frombuffer(data, np.uint8).reshape(-1, PAGE_SIZE)


def _read(pid: int, address: int, size: int) -> bytearray:
    """Read a process's memory; what is returned ends where the mapping ends."""
    data = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        file.seek(address)
        while piece := file.read(size - len(data)):
            data += piece
    return data
