"""Write an assembly file that carries the library's JavaScript parts, each ended by a zero byte."""

from __future__ import annotations

import sys
from pathlib import Path


def assembly(parts: list[Path]) -> str:
    """Return the file's text: the table ``kLibrary`` of name, begin, end, and ``kLibraryCount``."""
    rows = []
    texts = []
    for number, part in enumerate(parts):
        rows.append(f"  .quad name{number}, begin{number}, end{number}")
        texts.append(f'name{number}: .asciz "<seuss>/{part.name}"')
        texts.append(f'begin{number}: .incbin "{part.resolve()}"\n  .byte 0\nend{number}:')
    return "\n".join(
        [
            '.section .rodata,"a"',
            ".globl kLibrary, kLibraryCount",
            ".balign 8",
            "kLibrary:",
            *rows,
            f"kLibraryCount: .long {len(parts)}",
            *texts,
            '.section .note.GNU-stack,"",@progbits',
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(assembly([Path(name) for name in sys.argv[2:]]))
