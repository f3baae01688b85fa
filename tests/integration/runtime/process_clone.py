"""Clone a process from outside and count the pages that the clone writes to.

`fork` is made to happen in the traced process by ptrace, at the system call it waits in, so none of
its own code runs: the clone stands for a context deployed from a snapshot. A page that the clone
wrote to lies in another frame than its parent's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_SIZE = 4096
_PTRACE_CONT, _PTRACE_GETREGS, _PTRACE_SETREGS, _PTRACE_DETACH = 7, 12, 13, 17
_PTRACE_GETEVENTMSG, _PTRACE_SEIZE, _PTRACE_INTERRUPT = 0x4201, 0x4206, 0x4207
_TRACE_FORK, _EVENT_FORK = 2, 1
_WAIT_ALL = 0x40000000
_SYS_READ, _SYS_FORK = 0, 57
_NO_CALL = 2**64 - 1
_SYSCALL_SIZE = 2
_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1
_NAMES = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
    "fs_base gs_base ds es fs gs"
)


class _Registers(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in _NAMES.split())
    rax: int
    orig_rax: int
    rip: int


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _trace(request: int, process: int, data: object = None) -> None:
    if _libc.ptrace(request, process, None, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace request {request:#x}: {os.strerror(error)}")


@contextmanager
def cloned(process: int) -> Iterator[int]:
    """Give the pid of a clone of ``process``, which must wait in read and stays stopped."""
    _trace(_PTRACE_SEIZE, process, _TRACE_FORK)
    _trace(_PTRACE_INTERRUPT, process)
    os.waitpid(process, _WAIT_ALL)
    registers = _Registers()
    _trace(_PTRACE_GETREGS, process, ctypes.byref(registers))
    if registers.orig_rax != _SYS_READ:
        raise RuntimeError(f"the process is in system call {registers.orig_rax}, not in read")
    back = _Registers.from_buffer_copy(registers)
    back.rax, back.orig_rax, back.rip = _SYS_READ, _NO_CALL, back.rip - _SYSCALL_SIZE
    registers.rax, registers.orig_rax, registers.rip = _SYS_FORK, _NO_CALL, back.rip
    _trace(_PTRACE_SETREGS, process, ctypes.byref(registers))
    _trace(_PTRACE_CONT, process)
    _, status = os.waitpid(process, _WAIT_ALL)
    if status >> 8 != signal.SIGTRAP | _EVENT_FORK << 8:
        raise RuntimeError(f"fork did not happen: wait status {status:#x}")
    child = ctypes.c_ulong()
    _trace(_PTRACE_GETEVENTMSG, process, ctypes.byref(child))
    os.waitpid(child.value, _WAIT_ALL)
    _trace(_PTRACE_SETREGS, child.value, ctypes.byref(back))
    _trace(_PTRACE_DETACH, child.value)
    try:
        yield child.value
    finally:
        os.kill(child.value, signal.SIGKILL)


def frames(process: int) -> dict[int, int]:
    """Return page number -> frame number of the writable pages that are present."""
    found = {}
    with Path(f"/proc/{process}/pagemap").open("rb", buffering=0) as pagemap:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if "w" not in rights:
                continue
            first, last = (int(part, 16) // PAGE_SIZE for part in span.split("-"))
            pagemap.seek(first * 8)
            entries = struct.iter_unpack("<Q", pagemap.read((last - first) * 8))
            for page, (entry,) in enumerate(entries, first):
                if entry & _PRESENT:
                    found[page] = entry & _FRAME
    return found


def written(parent: int, child: int) -> set[int]:
    """Return the numbers of the pages that ``child`` has and does not share with ``parent``."""
    shared = frames(parent)
    return {page for page, frame in frames(child).items() if shared.get(page) != frame}


def is_able() -> bool:
    """Whether this process may see frame numbers; the kernel shows others only zeros."""
    return any(frames(os.getpid()).values())
