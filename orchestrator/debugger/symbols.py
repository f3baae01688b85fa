"""Names of addresses, from the symbol tables of ELF files."""

from __future__ import annotations

import bisect
import pathlib
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from orchestrator.errors import DebuggerError

NAMED = ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE")
REACH = 1 << 20
"""A symbol without a size names the addresses up to the next one, but at most so many."""


@dataclass(frozen=True)
class Symbol:
    """A name for `size` bytes from `address` on."""

    name: str
    address: int
    size: int


class SymbolTable:
    """Finds the symbol an address lies in, and the address of a name."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        # Of several names of one address the one with a size comes last, and is found.
        self._symbols = sorted(symbols, key=lambda each: (each.address, each.size))
        self._addresses = [each.address for each in self._symbols]
        self._by_name = {each.name: each for each in reversed(self._symbols)}

    @classmethod
    def of_files(cls, files: Iterable[pathlib.Path]) -> Self:
        """Read the symbol tables of ELF files; one without adds none. Raises DebuggerError."""
        found: list[Symbol] = []
        for path in files:
            found += _symbols(path)
        names = _demangle([each.name for each in found])
        return cls(
            Symbol(name, each.address, each.size) for name, each in zip(names, found, strict=True)
        )

    def __len__(self) -> int:
        return len(self._symbols)

    def at(self, address: int) -> Symbol | None:
        """Return the symbol that `address` lies in, or None."""
        index = bisect.bisect_right(self._addresses, address) - 1
        if index < 0:
            return None
        symbol = self._symbols[index]
        return symbol if address - symbol.address < (symbol.size or REACH) else None

    def named(self, name: str) -> Symbol | None:
        """Return the symbol of that name; parameters may be left out when one alone fits."""
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        fitting = [each for each in self._symbols if each.name.partition("(")[0] == name]
        return fitting[0] if len({each.address for each in fitting}) == 1 else None

    def describe(self, address: int) -> str | None:
        """Return `name+0xoffset` of an address, or None."""
        symbol = self.at(address)
        return None if symbol is None else f"{symbol.name}+{address - symbol.address:#x}"


def _symbols(path: pathlib.Path) -> list[Symbol]:
    try:
        with path.open("rb") as file:
            tables = ELFFile(file).iter_sections()
            return [
                Symbol(entry.name, entry["st_value"], entry["st_size"])
                for table in tables
                if isinstance(table, SymbolTableSection)
                for entry in table.iter_symbols()
                if entry.name
                and entry["st_info"]["type"] in NAMED
                and entry["st_shndx"] != "SHN_UNDEF"
            ]
    except OSError as error:
        raise DebuggerError(
            f"{path} cannot be read ({error.strerror}). Name another ELF."
        ) from error
    except (ELFError, ValueError, KeyError, AttributeError) as error:
        raise DebuggerError(f"{path} is no ELF file that can be read ({error}).") from error


def _demangle(names: list[str]) -> list[str]:
    """Return C++ names as they are written, if binutils is there."""
    tool = shutil.which("c++filt")
    if tool is None or not names:
        return names
    done = subprocess.run(
        [tool, "-i"], input="\n".join(names), capture_output=True, text=True, check=False
    )
    written = done.stdout.splitlines()
    return written if done.returncode == 0 and len(written) == len(names) else names
