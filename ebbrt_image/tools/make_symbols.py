#!/usr/bin/env python3
"""Write the kernel's own symbol table as assembly, for its backtraces.

Usage: make_symbols.py OUT.S [KERNEL_ELF]. Without an ELF the table is empty
(first link); the second link has the same text addresses, since the table
lies behind all code.
"""

import subprocess
import sys
from pathlib import Path

LONGEST = 60


def text_symbols(elf: Path) -> tuple[int, list[tuple[int, str]]]:
    """Return the start of text and the (address, name) pairs of functions."""
    output = run("nm", "--numeric-sort", "--defined-only", str(elf))
    start = 0
    symbols: dict[int, str] = {}
    for line in output.splitlines():
        address, kind, name = line.split(" ", 2)
        if name == "text_start":
            start = int(address, 16)
        elif kind in "tTwW":
            symbols.setdefault(int(address, 16), name)
    readable = run("c++filt", "--no-params", given="\n".join(symbols.values())).splitlines()
    return start, [(at, short(name)) for at, name in zip(symbols, readable, strict=True)]


def short(name: str) -> str:
    """Return what tells a function from others: every image and base snapshot carries it."""
    return name.replace("ebbrt::", "").partition(" [clone")[0][:LONGEST]


def run(*command: str, given: str = "") -> str:
    """Return what a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, input=given).stdout


def main() -> None:
    """Command line: see the module's docstring."""
    out = Path(sys.argv[1])
    start, symbols = text_symbols(Path(sys.argv[2])) if len(sys.argv) > 2 else (0, [])
    symbols = [(address, name) for address, name in symbols if address >= start]
    offsets: list[str] = []
    names: list[str] = []
    text: list[str] = []
    position = 0
    for address, name in symbols:
        encoded = name.encode()
        offsets.append(f"  .long {address - start}")
        names.append(f"  .long {position}")
        quoted = encoded.decode(errors="ignore").replace("\\", "\\\\").replace('"', '\\"')
        text.append(f'  .asciz "{quoted}"')
        position += len(encoded) + 1
    lines = [
        '.section .symbols,"a"',
        ".balign 8",
        ".globl symbol_count, symbol_offsets, symbol_names, symbol_text",
        f"symbol_count: .long {len(symbols)}",
        "symbol_offsets:",
        *offsets,
        "symbol_names:",
        *names,
        "symbol_text:",
        *text,
        '.section .note.GNU-stack,"",@progbits',
    ]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
