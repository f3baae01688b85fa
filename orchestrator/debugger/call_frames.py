"""Call frame information of an ELF's .eh_frame: how code without frame pointers is unwound.

The section is indexed by a quick look at its lengths and addresses; only the entry that covers an
address is decoded (by pyelftools), since decoding an interpreter's 24,000 takes seconds.
"""

from __future__ import annotations

import bisect
import io
import pathlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.callframe import FDE, ZERO, CallFrameInfo
from elftools.dwarf.structs import DWARFStructs
from elftools.elf.elffile import ELFFile

from orchestrator.errors import DebuggerError

PCREL_SDATA4 = 0x1B
"""How GCC and binutils write addresses in .eh_frame on x86-64."""
NUMBERS = (
    *("RAX", "RDX", "RCX", "RBX", "RSI", "RDI", "RBP", "RSP"),
    *(f"R{number}" for number in range(8, 16)),
)
"""Registers in DWARF's order."""
RETURN_ADDRESS = 16
WORD = (1 << 64) - 1

Read = Callable[[int, int], bytes]
"""Reads guest memory: address, size. Raises DebuggerError."""


@dataclass(frozen=True)
class _Entry:
    start: int
    end: int
    offset: int
    parent: int


class CallFrames:
    """Unwinds one frame of code in one ELF file. Made by `of_file`."""

    def __init__(self, section: bytes, address: int) -> None:
        self._section = section
        self._address = address
        self._entries = sorted(_index(section, address), key=lambda each: each.start)
        self._starts = [each.start for each in self._entries]

    @classmethod
    def of_file(cls, path: pathlib.Path) -> CallFrames | None:
        """Read an ELF file; None when it has no such information. Raises DebuggerError."""
        try:
            with path.open("rb") as file:
                section = ELFFile(file).get_section_by_name(".eh_frame")
                return None if section is None else cls(section.data(), section["sh_addr"])
        except OSError as error:
            raise DebuggerError(f"{path} cannot be read ({error.strerror}).") from error
        except (ELFError, struct.error, ValueError) as error:
            raise DebuggerError(f"The frames of {path} cannot be read ({error}).") from error

    def __len__(self) -> int:
        return len(self._entries)

    def caller(self, registers: Mapping[str, int], pc: int, read: Read) -> dict[str, int] | None:
        """Return the caller's registers; None at the outermost frame, or for unknown code.

        `pc` is an address inside the frame's current instruction. Raises DebuggerError when the
        stack cannot be read.
        """
        index = bisect.bisect_right(self._starts, pc) - 1
        if index < 0 or pc >= self._entries[index].end:
            return None
        row = self._row(self._entries[index], pc)
        rule = row.get("cfa") if row else None
        if row is None or rule is None or rule.expr is not None or rule.reg >= len(NUMBERS):
            return None
        frame = (registers[NUMBERS[rule.reg]] + rule.offset) & WORD
        before = dict(registers)
        for number, name in enumerate(NUMBERS):
            saved = row.get(number)
            if saved is not None and saved.type == "OFFSET":
                before[name] = _word(read, frame + saved.arg)
        returns = row.get(RETURN_ADDRESS)
        if returns is None or returns.type != "OFFSET":
            return None
        before["RIP"] = _word(read, frame + returns.arg)
        before["RSP"] = frame
        return before

    def _row(self, entry: _Entry, pc: int) -> dict[Any, Any] | None:
        """Return the rules at `pc`: from a section of just the entry and its parent."""
        parent = _piece(self._section, entry.parent)
        piece = bytearray(_piece(self._section, entry.offset))
        struct.pack_into("<I", piece, 4, len(parent) + 4)
        structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
        try:
            both = CallFrameInfo(
                stream=io.BytesIO(parent + piece),
                size=len(parent) + len(piece),
                # The entry's addresses are relative to where it lies.
                address=self._address + entry.offset - len(parent),
                base_structs=structs,
                for_eh_frame=True,
            ).get_entries()
            found = next(each for each in both if isinstance(each, FDE))
            rows = [row for row in found.get_decoded().table if row["pc"] <= pc]
        except (DWARFError, ELFError, StopIteration, KeyError, ValueError, IndexError):
            return None
        return rows[-1] if rows else None


def _index(section: bytes, address: int) -> list[_Entry]:
    """List the section's entries that cover code; those of unusual form are left out."""
    entries = []
    usual: dict[int, bool] = {}
    at = 0
    while at + 8 <= len(section):
        (length, parent_distance) = struct.unpack_from("<II", section, at)
        if length == 0 or length == 0xFFFFFFFF or at + 4 + length > len(section):
            at += 4
            if length:
                break
            continue
        if parent_distance and length >= 12:
            parent = at + 4 - parent_distance
            if parent not in usual:
                usual[parent] = 0 <= parent < at and _encoding(section, parent) == PCREL_SDATA4
            if usual[parent]:
                distance, size = struct.unpack_from("<iI", section, at + 8)
                start = (address + at + 8 + distance) & WORD
                entries.append(_Entry(start, start + size, at, parent))
        at += 4 + length
    return entries


def _encoding(section: bytes, offset: int) -> int | None:
    """Return how the entries of a common entry write addresses."""
    piece = _piece(section, offset)
    try:
        parent = CallFrameInfo(
            stream=io.BytesIO(piece),
            size=len(piece),
            address=0,
            base_structs=DWARFStructs(little_endian=True, dwarf_format=32, address_size=8),
            for_eh_frame=True,
        ).get_entries()[0]
        told = {} if isinstance(parent, ZERO) else parent.augmentation_dict
        encoding = told.get("FDE_encoding")
    except (DWARFError, ELFError, KeyError, ValueError, IndexError):
        return None
    return encoding if isinstance(encoding, int) else None


def _piece(section: bytes, offset: int) -> bytes:
    (length,) = struct.unpack_from("<I", section, offset)
    return section[offset : offset + 4 + length]


def _word(read: Read, address: int) -> int:
    word: int = struct.unpack("<Q", read(address & WORD, 8))[0]
    return word
