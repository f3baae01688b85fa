"""Speaks to the test guest (ebbrt_image/probe/TestGuest.cc) and looks at machines from outside."""

from __future__ import annotations

import asyncio
import gc
import os
import pathlib
import re
import struct

from orchestrator.machines.machine import Machine

ANSWER_DEADLINE_S = 30.0


async def obey(
    machine: Machine, operation: str, value: int = 0, page: int = 0, count: int = 0
) -> tuple[int, int]:
    """Have the guest do one thing; return its result and how many commands it has obeyed."""
    await machine.send(struct.pack("<cBHII", operation.encode(), value, 0, page, count))
    answer = b""
    async with asyncio.timeout(ANSWER_DEADLINE_S):
        while len(answer) < 8:
            piece = await machine.unless_ended(machine.receive(8 - len(answer)))
            assert piece, "the guest ended"
            answer += piece
    result, obeyed = struct.unpack("<II", answer)
    return result, obeyed


def children() -> set[int]:
    """Return the ids of this process's children, the dead but unreaped ones too."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.add(int(entry.name))
    return found


def holdings() -> tuple[int, int, set[int]]:
    """Return what this process holds: open descriptors, mapped RAM files, children."""
    gc.collect()  # snapshots that were read keep their files mapped while objects refer to them
    maps = pathlib.Path("/proc/self/maps").read_text()
    descriptors = len(list(pathlib.Path("/proc/self/fd").iterdir()))
    return descriptors, maps.count("memfd:seuss-ram"), children()


def region_kib(pid: int) -> tuple[float, float]:
    """Return Rss and Pss of a process's mappings of the region, in KiB."""
    rss = pss = 0.0
    inside = False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = "memfd:seuss-region" in line
        elif inside and line.startswith("Rss:"):
            rss += float(line.split()[1])
        elif inside and line.startswith("Pss:"):
            pss += float(line.split()[1])
    return rss, pss


def resident() -> int:
    """Bytes of memory this process holds."""
    fields = pathlib.Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096
