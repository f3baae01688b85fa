"""A guest's processors and memory, as QEMU's monitor shows them."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.errors import DebuggerError

LONGEST_READ = 64 * 1024
AT_ONCE = 4096
"""Bytes asked for in one command; QEMU writes each as text."""

GENERAL = (
    *("RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP"),
    *("R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"),
)
_WHOLE = re.compile(r"\b(R[A-Z0-9]{1,2}|RIP|CR[0234]|EFER) *=([0-9a-f]{8,16})\b")
_FLAGS = re.compile(r"\bRFL=([0-9a-f]{8})\b")
_STATE = re.compile(r"\b(CPL|HLT)=(\d)\b")
_SEGMENT = re.compile(r"^(ES|CS|SS|DS|FS|GS) =([0-9a-f]{4}) ([0-9a-f]{16})", re.MULTILINE)
_WORDS = re.compile(r"^[0-9a-f]+:((?: 0x[0-9a-f]{16})+)\s*$")


class Monitor(Protocol):
    """What takes QMP commands."""

    def query(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Return QEMU's answer. Raises DebuggerError when it refuses."""


class Guest:
    """The guest behind a monitor. All methods raise DebuggerError."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def cores(self) -> int:
        """Return how many processors the guest has."""
        return len(self._monitor.query("query-cpus-fast"))

    def running(self) -> bool:
        """Whether the guest runs."""
        return bool(self._monitor.query("query-status").get("running"))

    def registers(self, core: int) -> dict[str, int]:
        """Return a processor's registers by name; segments as CS, CS_BASE and so on."""
        return parse_registers(self._human("info registers", core))

    def read(self, address: int, size: int, core: int = 0, physical: bool = False) -> bytes:
        """Return guest memory: virtual as a processor maps it now, or physical."""
        if size > LONGEST_READ:
            raise DebuggerError(f"{size} bytes are too many. Read at most {LONGEST_READ} at once.")
        if not 0 <= address <= (1 << 64) - size:
            raise DebuggerError(f"{address:#x} is no address of 64 bits.")
        data = bytearray()
        letter = "xp" if physical else "x"
        while len(data) < size:
            part = min(AT_ONCE, size - len(data))
            data += self._words(letter, address + len(data), part, core)
        return bytes(data)

    def _words(self, letter: str, address: int, size: int, core: int) -> bytes:
        """Read `size` bytes by whole words in place: none reaches into a further page."""
        first = address & ~7
        count = (address + size - first + 7) // 8
        told = self._human(f"{letter} /{count}xg {first:#x}", core)
        words: list[int] = []
        for line in told.splitlines():
            found = _WORDS.match(line.strip())
            if found is None:
                raise DebuggerError(f"QEMU cannot read {address:#x}: {line.strip()}")
            words += [int(word, 16) for word in found[1].split()]
        if len(words) != count:
            raise DebuggerError(f"QEMU told {len(words)} words of {count} at {address:#x}.")
        return struct.pack(f"<{count}Q", *words)[address - first :][:size]

    def _human(self, line: str, core: int) -> str:
        told = self._monitor.query(
            "human-monitor-command", {"command-line": line, "cpu-index": core}
        )
        if not isinstance(told, str):
            raise DebuggerError(f"QEMU answered {line!r} without text.")
        return told


def parse_registers(text: str) -> dict[str, int]:
    """Read what `info registers` tells. Raises DebuggerError when it lacks the general ones."""
    found = {name: int(value, 16) for name, value in _WHOLE.findall(text)}
    found |= {name: int(value) for name, value in _STATE.findall(text)}
    if flags := _FLAGS.search(text):
        found["RFLAGS"] = int(flags[1], 16)
    for name, selector, base in _SEGMENT.findall(text):
        found[name] = int(selector, 16)
        found[f"{name}_BASE"] = int(base, 16)
    missing = [name for name in (*GENERAL, "RIP", "CPL") if name not in found]
    if missing:
        raise DebuggerError(f"QEMU tells no {', '.join(missing)}: the guest is in no 64-bit mode.")
    return found
