"""Names of x86-64's system calls, for errors."""

from __future__ import annotations

import functools
import pathlib
import re

HEADER = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
"""Of linux-libc-dev, which libc6-dev needs."""


def syscall_name(number: int) -> str:
    """Return the call's name, or its number where the kernel's header is not there."""
    return _names().get(number, f"number {number}")


@functools.cache
def _names() -> dict[int, str]:
    try:
        text = HEADER.read_text(encoding="ascii")
    except OSError:
        return {}
    found = re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.MULTILINE)
    return {int(number): name for name, number in found}
