"""Reading what QEMU's monitor tells as text."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.debugger.guest import GENERAL, LONGEST_READ, Guest, parse_registers
from orchestrator.errors import DebuggerError

TOLD = """
CPU#0
RAX=0000000000000001 RBX=0000000000000002 RCX=0000000000000003 RDX=0000000000000004
RSI=0000000000000005 RDI=0000000000000006 RBP=0000000000000007 RSP=0000000000000008
R8 =0000000000000009 R9 =000000000000000a R10=000000000000000b R11=000000000000000c
R12=000000000000000d R13=000000000000000e R14=000000000000000f R15=0000000000000010
RIP=ffffffff8010346a RFL=00000246 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=1
CS =0023 0000000000000000 ffffffff 00affb00 DPL=3 CS64 [-RA]
FS =0000 0000000001817400 00000000 00000000
CR0=80050033 CR2=00007fffff717030 CR3=00000000018cf000 CR4=00300ea0
EFER=0000000000000d01
"""


class Memory:
    """Answers the monitor's `x` from bytes that lie at address 0."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def query(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        assert command == "human-monitor-command" and arguments is not None
        letter, shape, address = str(arguments["command-line"]).split()
        assert letter in ("x", "xp") and shape.startswith("/") and shape.endswith("xg")
        start, count = int(address, 16), int(shape[1:-2])
        if start + 8 * count > len(self.data):
            return "Cannot access memory\r\n"
        words = struct.unpack_from(f"<{count}Q", self.data, start)
        lines = [words[at : at + 2] for at in range(0, count, 2)]
        return "\r\n".join(
            f"{start + 16 * row:016x}:" + "".join(f" 0x{word:016x}" for word in line)
            for row, line in enumerate(lines)
        )


def test_registers_are_read_by_name() -> None:
    found = parse_registers(TOLD)
    assert [found[name] for name in GENERAL[:3]] == [1, 2, 3]
    assert found["R8"] == 9 and found["R15"] == 16
    assert found["RIP"] == 0xFFFFFFFF8010346A and found["CPL"] == 3 and found["HLT"] == 1
    assert found["CS"] == 0x23 and found["FS_BASE"] == 0x1817400
    assert found["CR0"] == 0x80050033 and found["CR3"] == 0x18CF000 and found["RFLAGS"] == 0x246


def test_registers_of_another_mode_are_refused() -> None:
    with pytest.raises(DebuggerError, match="64-bit"):
        parse_registers("EAX=00000000 EBX=00000000 EIP=0000fff0 CPL=0")


@given(st.text())
def test_any_text_is_registers_or_an_error(text: str) -> None:
    with pytest.raises(DebuggerError):
        parse_registers(text)


@given(st.integers(0, 9000), st.integers(1, 5000))
def test_memory_comes_whole_from_any_address(address: int, size: int) -> None:
    data = bytes(range(251)) * 80
    assert Guest(Memory(data)).read(address, size) == data[address : address + size]


def test_memory_that_is_not_there_is_an_error() -> None:
    guest = Guest(Memory(bytes(64)))
    with pytest.raises(DebuggerError, match="Cannot access"):
        guest.read(60, 8)
    with pytest.raises(DebuggerError, match="too many"):
        guest.read(0, LONGEST_READ + 1)
    with pytest.raises(DebuggerError, match="no address"):
        guest.read((1 << 64) - 4, 8)
