"""Who called the code that a processor runs: from the kernel through a trap into user code.

The kernel keeps frame pointers. User code is unwound by call frame information where an ELF has it,
else by frame pointers too. All that is read is the guest's and may be anything: a stack that does
not grow, or that is longer than `MOST_FRAMES`, ends the walk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.debugger.call_frames import CallFrames, Read
from orchestrator.debugger.symbols import SymbolTable
from orchestrator.errors import DebuggerError

KERNEL_HALF = 1 << 63
MOST_FRAMES = 64
TRAP_RETURNS = ("TrapReturn", "SystemCallEntry", "CommonEntry")
"""Labels of the entry stubs (ebbrt_image/src/arch/Isr.S) that a trap's handler returns to."""
TRAP_FRAME = struct.Struct("<22Q")
TRAP_ORDER = (
    *("R15", "R14", "R13", "R12", "R11", "R10", "R9", "R8"),
    *("RBP", "RDI", "RSI", "RDX", "RCX", "RBX", "RAX"),
)
"""As ebbrt_image/src/arch/TrapFrame.h has them; vector, error, RIP, CS, RFLAGS, RSP, SS follow."""
PUSHED = 1
"""Bytes of `push %rbp`, a function's first instruction."""


@dataclass(frozen=True)
class StackFrame:
    """One function under way: its address, its symbol if known, and how it was entered."""

    address: int
    symbol: str | None
    user: bool
    trap: int | None = None
    """The vector that interrupted this code (256: a system call); None when it called."""


def unwind(
    registers: Mapping[str, int],
    read: Read,
    symbols: SymbolTable,
    programs: list[CallFrames],
) -> tuple[list[StackFrame], str]:
    """Return the frames, innermost first, and in a clause why there are no more.

    `programs` tell how user code is unwound.
    """
    frames: list[StackFrame] = []
    walk = _Walk(registers, read, symbols, programs)
    try:
        for frame in walk.frames():
            if len(frames) == MOST_FRAMES:
                return frames, f"there are more than {MOST_FRAMES}"
            frames.append(frame)
    except DebuggerError as error:
        return frames, error.message
    return frames, walk.end


class _Walk:
    """A walk up one stack; `end` tells why it stopped."""

    def __init__(
        self,
        registers: Mapping[str, int],
        read: Read,
        symbols: SymbolTable,
        programs: list[CallFrames],
    ) -> None:
        self._registers = dict(registers)
        self._read = read
        self._symbols = symbols
        self._programs = programs
        self._exact = True
        """Whether RIP is the next instruction, not the one after a call."""
        self._trap: int | None = None
        self.end = "that is the outermost"

    def frames(self) -> Iterator[StackFrame]:
        going = True
        while going:
            address = self._registers["RIP"]
            user = address < KERNEL_HALF
            # A call may be a function's last instruction: its return address is the next one's.
            within = address if self._exact else address - 1
            yield StackFrame(address, self._describe(address, within), user, self._trap)
            self._trap = None
            going = self._leave_user(within) if user else self._leave_kernel()

    def _describe(self, address: int, within: int) -> str | None:
        symbol = self._symbols.at(within)
        return None if symbol is None else f"{symbol.name}+{address - symbol.address:#x}"

    def _leave_kernel(self) -> bool:
        pointer, stack = self._registers["RBP"], self._registers["RSP"]
        symbol = self._symbols.at(self._registers["RIP"]) if self._exact else None
        entered = self._registers["RIP"] - symbol.address if symbol else None
        if entered in (0, PUSHED):
            # The frame is not made yet: the caller's pointer is still in place, or on the stack.
            (returns,) = struct.unpack("<Q", self._read(stack + 8 * (entered == PUSHED), 8))
            self._registers["RIP"] = returns
            self._exact = False
            return bool(returns)
        if pointer < KERNEL_HALF or pointer % 8:
            return False
        saved, returns = struct.unpack("<2Q", self._read(pointer, 16))
        if returns == 0:
            return False
        if self._returns_from_trap(returns):
            return self._enter_trap(pointer + 16)
        if saved and saved <= pointer:
            self.end = "the stack does not grow"
            saved = 0
        self._registers |= {"RIP": returns, "RBP": saved, "RSP": pointer + 16}
        self._exact = False
        return True

    def _returns_from_trap(self, address: int) -> bool:
        symbol = self._symbols.at(address)
        return symbol is not None and symbol.name in TRAP_RETURNS

    def _enter_trap(self, frame: int) -> bool:
        """Go on with the code that a trap interrupted; the stack may then be another one."""
        words = TRAP_FRAME.unpack(self._read(frame, TRAP_FRAME.size))
        self._registers |= dict(zip(TRAP_ORDER, words, strict=False))
        vector, _, rip, _, _, rsp, _ = words[15:]
        self._registers |= {"RIP": rip, "RSP": rsp}
        self._exact = True
        self._trap = vector
        return True

    def _leave_user(self, within: int) -> bool:
        stack = self._registers["RSP"]
        for program in self._programs:
            before = program.caller(self._registers, within, self._read)
            if before is not None:
                return self._go_on(before, stack)
        pointer = self._registers["RBP"]
        if pointer < stack or pointer % 8 or pointer >= KERNEL_HALF:
            return False
        saved, returns = struct.unpack("<2Q", self._read(pointer, 16))
        before = self._registers | {"RIP": returns, "RBP": saved, "RSP": pointer + 16}
        return self._go_on(before, stack)

    def _go_on(self, before: dict[str, int], stack: int) -> bool:
        if before["RSP"] <= stack:
            self.end = "the stack does not grow"
            return False
        self._registers = before
        self._exact = False
        return 0 < before["RIP"] < KERNEL_HALF
