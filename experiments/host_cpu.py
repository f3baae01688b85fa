"""Processor time on the host: of a process's threads, and of the whole machine (proc(5))."""

from __future__ import annotations

import os
import pathlib

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_USER, _SYSTEM = 11, 12
"""Places of utime and stime behind the name in a stat file."""
VCPU = "CPU "
"""How QEMU names the threads that run the guest's processors, followed by the number."""


def thread_seconds(pid: int, proc: pathlib.Path = pathlib.Path("/proc")) -> dict[str, float]:
    """Return CPU seconds of a process by thread name; threads of one name are added up.

    Raises OSError when the process is gone; a thread that ends meanwhile is left out.
    """
    seconds: dict[str, float] = {}
    for task in (proc / str(pid) / "task").iterdir():
        try:
            stat = (task / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name may hold brackets and spaces itself.
        head, _, rest = stat.rpartition(")")
        name = head.partition("(")[2]
        fields = rest.split()
        used = (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK
        seconds[name] = seconds.get(name, 0.0) + used
    return seconds


def machine_seconds(proc: pathlib.Path = pathlib.Path("/proc")) -> float:
    """Return CPU seconds that all of the machine's processors were busy since it started."""
    words = (proc / "stat").read_text().splitlines()[0].split()[1:]
    columns = dict(zip(_COLUMNS, words, strict=False))
    return sum(int(columns[name]) for name in _BUSY) * _TICK
