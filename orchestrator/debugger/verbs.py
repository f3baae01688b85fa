"""What a debugger can be asked beside QMP's own commands: one method for each verb.

Everything shown may come from a hostile guest: numbers are checked to be numbers, and memory is
shown as hexadecimal and printable ASCII.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.debugger.call_frames import CallFrames
from orchestrator.debugger.guest import GENERAL, Guest, Monitor
from orchestrator.debugger.symbols import SymbolTable
from orchestrator.debugger.unwinding import StackFrame, unwind
from orchestrator.errors import DebuggerError

ROW = 16
MIB = 1 << 20
PAGE_SIZE = 4096
SYSTEM_CALL = 256
LONGEST_WATCH_S = 60
SAMPLES_PER_GIB = 16384
"""As many as QEMU takes: it looks at so many pages of each GiB."""
CONTEXT_COLUMNS = [
    "id",
    "snapshot",
    "threads",
    "busy",
    "owned_frames",
    "tables",
    "demand_zero",
    "file_fill",
    "native_copy",
    "snapshot_copy",
]
SNAPSHOT_COLUMNS = ("id", "parent", "pages")
OTHERS = (
    *("RIP", "RFLAGS", "CPL", "HLT", "CS", "SS", "FS_BASE", "GS_BASE"),
    *("CR0", "CR2", "CR3", "CR4", "EFER"),
)


@dataclass(frozen=True)
class Outcome:
    """What a verb found: `data` for programs (JSON), `text` for people."""

    data: Any
    text: str


@dataclass(frozen=True)
class Verb:
    """How a verb is called: `usage` names its words, `least` and `most` how many there may be."""

    usage: str
    help: str
    least: int
    most: int
    run: Callable[[Sequence[str]], Outcome]


class Verbs:
    """The verbs on one machine.

    Args:
        monitor: the machine's QMP.
        symbols: names of the guest's addresses.
        programs: how the guest's programs are unwound.
        contexts: asks the node for its contexts and snapshots; None without a node.
    """

    def __init__(
        self,
        monitor: Monitor,
        symbols: SymbolTable,
        programs: list[CallFrames],
        contexts: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._monitor = monitor
        self._guest = Guest(monitor)
        self._symbols = symbols
        self._programs = programs
        self._contexts = contexts
        self.all: dict[str, Verb] = {
            "regs": Verb("[CPU]", "registers of a processor", 0, 1, self._regs),
            "mem": Verb("ADDR LEN", "virtual memory, as processor 0 maps it", 2, 2, self._mem),
            "pmem": Verb("ADDR LEN", "physical memory", 2, 2, self._pmem),
            "symbol": Verb(
                "ADDR|NAME", "name of an address, or address of a name", 1, 1, self._sym
            ),
            "backtrace": Verb("[CPU]", "who called what a processor runs", 0, 1, self._backtrace),
            "ucs": Verb("", "the node's unikernel contexts", 0, 0, self._ucs),
            "snapshots": Verb("", "the snapshots inside the node", 0, 0, self._snapshots),
            "dirty": Verb("[SECONDS]", "how fast memory is written, by samples", 0, 1, self._dirty),
            "stop": Verb("", "stop the guest; requests wait, and may time out", 0, 0, self._stop),
            "cont": Verb("", "let the guest run", 0, 0, self._cont),
            "migrate-status": Verb("", "state of a capture or restore", 0, 0, self._migration),
        }

    def run(self, name: str, words: Sequence[str]) -> Outcome:
        """Carry out a verb. Raises DebuggerError."""
        verb = self.all[name]
        if not verb.least <= len(words) <= verb.most:
            raise DebuggerError(f"Wrong number of words. Use: {name} {verb.usage}".rstrip())
        return verb.run(words)

    def running(self) -> bool:
        """Whether the guest runs."""
        return self._guest.running()

    def _regs(self, words: Sequence[str]) -> Outcome:
        registers = self._guest.registers(self._core(words))
        shown = [(name, registers[name]) for name in (*GENERAL, *OTHERS) if name in registers]
        rows = [shown[start : start + 4] for start in range(0, len(shown), 4)]
        text = "\n".join("  ".join(f"{name:7} {value:016x}" for name, value in row) for row in rows)
        where = self._symbols.describe(registers["RIP"])
        return Outcome(registers | {"at": where}, f"{text}\n{where or 'no symbol at RIP'}")

    def _mem(self, words: Sequence[str], physical: bool = False) -> Outcome:
        address, size = self._address(words[0]), _number(words[1])
        if size == 0:
            raise DebuggerError("A length of 0 shows nothing. Give at least 1.")
        data = self._guest.read(address, size, physical=physical)
        lines = []
        for start in range(0, size, ROW):
            row = data[start : start + ROW]
            letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            lines.append(f"{address + start:016x}  {row.hex(' '):{3 * ROW - 1}}  {letters}")
        return Outcome({"address": address, "bytes": data.hex()}, "\n".join(lines))

    def _pmem(self, words: Sequence[str]) -> Outcome:
        return self._mem(words, physical=True)

    def _sym(self, words: Sequence[str]) -> Outcome:
        address = self._address(words[0])
        symbol = self._symbols.at(address)
        if symbol is None:
            raise DebuggerError(
                f"No symbol covers {address:#x}. Give the program's ELF: --symbols."
            )
        return Outcome(
            asdict(symbol) | {"looked_up": address},
            f"{address:016x}  {symbol.name}+{address - symbol.address:#x} of {symbol.size:#x}",
        )

    def _backtrace(self, words: Sequence[str]) -> Outcome:
        core = self._core(words)
        was_running = self._guest.running()
        if was_running:  # registers and memory must be of one moment
            self._monitor.query("stop")
        try:
            registers = self._guest.registers(core)
            frames, end = unwind(
                registers,
                lambda address, size: self._guest.read(address, size, core),
                self._symbols,
                self._programs,
            )
        finally:
            if was_running:
                self._monitor.query("cont")
        text = [_frame_line(number, frame) for number, frame in enumerate(frames)]
        data = {"frames": [asdict(frame) for frame in frames], "end": end, "cpu": core}
        return Outcome(data, "\n".join([*text, f"    ({end})"]))

    def _ucs(self, words: Sequence[str]) -> Outcome:
        return _table(self._listed(), "contexts", CONTEXT_COLUMNS)

    def _snapshots(self, words: Sequence[str]) -> Outcome:
        return _table(self._listed(), "snapshots", SNAPSHOT_COLUMNS)

    def _listed(self) -> Mapping[str, Any]:
        if self._contexts is None:
            raise DebuggerError("Only a node knows its contexts. Name one with --name.")
        if not self._guest.running():
            raise DebuggerError(
                "The guest is stopped, so its kernel cannot answer. Give cont first."
            )
        return self._contexts()

    def _dirty(self, words: Sequence[str]) -> Outcome:
        seconds = _number(words[0]) if words else 1
        if not 1 <= seconds <= LONGEST_WATCH_S:
            raise DebuggerError(f"{seconds} s cannot be watched. Give 1 to {LONGEST_WATCH_S}.")
        self._monitor.query(
            "calc-dirty-rate", {"calc-time": seconds, "sample-pages": SAMPLES_PER_GIB}
        )
        deadline = time.monotonic() + seconds + 10
        while (told := self._monitor.query("query-dirty-rate"))["status"] != "measured":
            if time.monotonic() > deadline:
                raise DebuggerError("QEMU does not finish measuring. Look with query-dirty-rate.")
            time.sleep(0.05)
        rate = told["dirty-rate"]
        pages = rate * MIB // PAGE_SIZE
        return Outcome(
            {"mib_per_s": rate, "pages_per_s": pages, "seconds": seconds},
            f"about {rate} MiB/s ({pages} pages/s) written, watched for {seconds} s",
        )

    def _stop(self, words: Sequence[str]) -> Outcome:
        self._monitor.query("stop")
        return self._state()

    def _cont(self, words: Sequence[str]) -> Outcome:
        self._monitor.query("cont")
        return self._state()

    def _state(self) -> Outcome:
        status = self._monitor.query("query-status")["status"]
        return Outcome({"status": status}, f"the guest is {status}")

    def _migration(self, words: Sequence[str]) -> Outcome:
        told = self._monitor.query("query-migrate")
        lines = [f"status {told.get('status', 'none yet')}"]
        lines += [f"{name} {value}" for name, value in told.items() if type(value) is int]
        ram = told.get("ram", {})
        lines += [f"ram {name} {ram[name]}" for name in ("transferred", "remaining") if name in ram]
        return Outcome(told, "\n".join(lines))

    def _core(self, words: Sequence[str]) -> int:
        core = _number(words[0]) if words else 0
        count = self._guest.cores()
        if core >= count:
            raise DebuggerError(f"There is no processor {core}. Give 0 to {count - 1}.")
        return core

    def _address(self, word: str) -> int:
        """Return the address a word means: number, symbol, $register, or one of them +number."""
        name, plus, more = word.rpartition("+")
        if plus and name:
            return (self._address(name) + _number(more)) & ((1 << 64) - 1)
        if word.startswith("$"):
            registers = self._guest.registers(0)
            value = registers.get(word[1:].upper())
            if value is None:
                raise DebuggerError(f"There is no register {word}. See them with regs.")
            return value
        symbol = self._symbols.named(word)
        return symbol.address if symbol is not None else _number(word)


def _number(word: str) -> int:
    """Read a number of at most 64 bits, hexadecimal after 0x. Raises DebuggerError."""
    try:
        value = int(word, 16 if word[:2].lower() == "0x" else 10)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise DebuggerError(
            f"{word[:80]!r} is no number, symbol or register. Write 4096, 0x1000, main or $rip."
        )
    return value


def _frame_line(number: int, frame: StackFrame) -> str:
    if frame.trap is None:
        how = ""
    else:
        how = "  <- system call" if frame.trap == SYSTEM_CALL else f"  <- vector {frame.trap}"
    where = "user" if frame.user else "kernel"
    return f"#{number:<2} {frame.address:016x}  {where:6}  {frame.symbol or '?'}{how}"


def _table(told: Mapping[str, Any], kind: str, columns: Sequence[str]) -> Outcome:
    """Show the rows of one kind; what is not a number or a truth value shows as `?`."""
    rows = told.get(kind)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DebuggerError(
            f"The node's list of {kind} makes no sense. Look with seuss node status."
        )
    checked = [
        {name: row.get(name) if type(row.get(name)) in (int, bool) else None for name in columns}
        for row in rows
    ]
    cells = [columns] + [
        ["?" if row[name] is None else str(row[name]) for name in columns] for row in checked
    ]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    text = "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )
    return Outcome(checked, text)
