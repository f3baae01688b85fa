"""Write an assembly file that carries the library's JavaScript parts, each ended by a zero byte."""

from __future__ import annotations

import sys
from pathlib import Path


def assembly(parts: list[Path]) -> str:
    """Return the file's text: the table ``kLibrary`` of name, begin, end, and ``kLibraryCount``.

    Parts in a folder named ``later`` come after those that the count counts.
    """
    parts = sorted(parts, key=lambda part: (part.parent.name == "later", part.name))
    eager = sum(part.parent.name != "later" for part in parts)
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
            "  .quad 0, 0, 0",
            f"kLibraryCount: .long {eager}",
            *texts,
            '.section .note.GNU-stack,"",@progbits',
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(assembly([Path(name) for name in sys.argv[2:]]))
