"""Control groups of a peer's containers: what they are charged, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal

_PATIENCE = 200
_ROOT = pathlib.Path("/sys/fs/cgroup")


def cgroups(name: str) -> list[pathlib.Path]:
    """Return the control groups called `name`, one for each hierarchy."""
    return [each for each in (*_ROOT.glob(f"*/{name}"), _ROOT / name) if each.is_dir()]


def kernel_charge(name: str) -> int:
    """Return the bytes of kernel memory charged to the control groups called `name`."""
    for group in cgroups(name):
        old, new = group / "memory.kmem.usage_in_bytes", group / "memory.stat"
        if old.exists():
            return int(old.read_text())
        if new.exists():
            stat = dict(line.split() for line in new.read_text().splitlines())
            return int(stat.get("kernel", 0))
    return 0


def end_processes(name: str) -> None:
    """Kill all that is in the control groups called `name`, frozen or not."""
    for top in cgroups(name):
        for group in (*top.rglob("*"), top):
            for switch, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if group.name == switch:
                    _write(group, word)
            if group.name == "cgroup.procs":
                for pid in _pids(group):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


async def remove_cgroup(name: str) -> None:
    """Remove the control groups called `name` of every hierarchy, once their processes ended."""
    for top in cgroups(name):
        for folder, _, _ in os.walk(top, topdown=False):
            for _ in range(_PATIENCE):
                try:
                    os.rmdir(folder)  # noqa: PTH106
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    await asyncio.sleep(0.01)


def _write(path: pathlib.Path, word: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(word, encoding="ascii")


def _pids(path: pathlib.Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(line) for line in path.read_text(encoding="ascii").split()]
    return []
