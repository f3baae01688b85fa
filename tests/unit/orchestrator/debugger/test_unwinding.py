"""Stacks as compilers and traps leave them, and stacks that a hostile guest made."""

from __future__ import annotations

import contextlib
import pathlib
import struct
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.debugger.call_frames import CallFrames
from orchestrator.debugger.guest import GENERAL
from orchestrator.debugger.symbols import Symbol, SymbolTable
from orchestrator.debugger.unwinding import MOST_FRAMES, TRAP_FRAME, TRAP_ORDER, unwind
from orchestrator.errors import DebuggerError

TEXT = 0xFFFFFFFF80100000
STACK = 0xFFFFE00000010000
SYMBOLS = SymbolTable(
    [
        Symbol("inner", TEXT, 0x100),
        Symbol("outer", TEXT + 0x100, 0x100),
        Symbol("SystemCallEntry", TEXT + 0x200, 0x100),
        Symbol("caller", 0x401000, 0x100),
    ]
)


def registers(**given: int) -> dict[str, int]:
    return dict.fromkeys(GENERAL, 0) | {"RIP": TEXT, "CPL": 0} | given


def memory(words: dict[int, int]) -> Callable[[int, int], bytes]:
    def read(address: int, size: int) -> bytes:
        try:
            return b"".join(struct.pack("<Q", words[address + at]) for at in range(0, size, 8))
        except KeyError:
            raise DebuggerError(f"QEMU cannot read {address:#x}") from None

    return read


def names(frames: object) -> list[str | None]:
    assert isinstance(frames, list)
    return [frame.symbol for frame in frames]


def test_kernel_frames_follow_the_frame_pointer() -> None:
    words = {STACK: STACK + 64, STACK + 8: TEXT + 0x120, STACK + 64: 0, STACK + 72: 0}
    frames, end = unwind(
        registers(RIP=TEXT + 0x10, RBP=STACK, RSP=STACK - 16), memory(words), SYMBOLS, []
    )
    assert names(frames) == ["inner+0x10", "outer+0x20"]
    assert end == "that is the outermost"


@pytest.mark.parametrize("entered", [0, 1])
def test_function_just_entered_hides_no_caller(entered: int) -> None:
    top = STACK - 8 - 8 * entered
    words = {STACK - 8: TEXT + 0x120, STACK: 0, STACK + 8: 0}
    words[top] = words.get(top, STACK)
    frames, _ = unwind(
        registers(RIP=TEXT + entered, RBP=STACK, RSP=top), memory(words), SYMBOLS, []
    )
    assert names(frames) == [f"inner+{entered:#x}", "outer+0x20"]


def test_system_call_leads_to_its_caller() -> None:
    frame = dict.fromkeys(TRAP_ORDER, 0)
    user_stack = 0x7FFF0000
    packed = TRAP_FRAME.pack(*frame.values(), 256, 0, 0x401010, 0x23, 0x202, user_stack, 0x1B)
    words = {STACK: 0, STACK + 8: TEXT + 0x240}
    words |= {
        STACK + 16 + 8 * index: word for index, word in enumerate(struct.unpack("<22Q", packed))
    }
    frames, _ = unwind(
        registers(RIP=TEXT + 0x50, RBP=STACK, RSP=STACK - 8), memory(words), SYMBOLS, []
    )
    assert names(frames) == ["inner+0x50", "caller+0x10"]
    assert frames[1].user and frames[1].trap == 256 and not frames[0].user


def test_stack_that_turns_in_a_circle_ends() -> None:
    words = {STACK: STACK, STACK + 8: TEXT + 0x120}
    frames, end = unwind(
        registers(RIP=TEXT + 0x10, RBP=STACK, RSP=STACK), memory(words), SYMBOLS, []
    )
    assert len(frames) == 2 and "does not grow" in end


def test_traps_in_a_circle_end() -> None:
    frame = dict.fromkeys(TRAP_ORDER, 0) | {"RBP": STACK}
    packed = TRAP_FRAME.pack(*frame.values(), 14, 0, TEXT + 0x10, 8, 2, STACK - 8, 16)
    words = {STACK: 0, STACK + 8: TEXT + 0x240}
    words |= {
        STACK + 16 + 8 * index: word for index, word in enumerate(struct.unpack("<22Q", packed))
    }
    frames, end = unwind(
        registers(RIP=TEXT + 0x10, RBP=STACK, RSP=STACK), memory(words), SYMBOLS, []
    )
    assert len(frames) == MOST_FRAMES and "more than" in end


def test_unreadable_stack_shows_what_was_found() -> None:
    frames, end = unwind(registers(RIP=TEXT + 9, RBP=STACK), memory({}), SYMBOLS, [])
    assert names(frames) == ["inner+0x9"] and "cannot read" in end


@given(st.binary(min_size=512, max_size=512), st.integers(0, 63), st.booleans())
def test_any_stack_ends(noise: bytes, start: int, user: bool) -> None:
    base = 0x7FFF0000 if user else STACK

    def read(address: int, size: int) -> bytes:
        at = address % 256
        return noise[at : at + size]

    frames, end = unwind(
        registers(RIP=0x401000 if user else TEXT + 0x10, RBP=base + start * 8, RSP=base),
        read,
        SYMBOLS,
        [],
    )
    assert 1 <= len(frames) <= MOST_FRAMES and end


SOURCE = """
int leaf(int n) { return n * 3; }
int middle(int n) { volatile char room[200]; room[n] = 1; return leaf(n) + room[0]; }
int main(int n, char **v) { return middle(n); }
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An ELF without frame pointers."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(SOURCE)
    built = folder / "program"
    subprocess.run(
        [
            "gcc",
            "-O1",
            "-fno-inline",
            "-fomit-frame-pointer",
            "-fcf-protection=none",
            "-no-pie",
            str(folder / "program.c"),
            "-o",
            str(built),
        ],
        check=True,
    )
    return built


def test_user_code_without_frame_pointers_is_unwound(program: pathlib.Path) -> None:
    symbols = SymbolTable.of_files([program])
    frames_of = CallFrames.of_file(program)
    assert frames_of is not None
    leaf, middle, main = (symbols.named(name) for name in ("leaf", "middle", "main"))
    assert leaf and middle and main
    stack = 0x7FFF0000
    words = {stack + 8 * at: 0 for at in range(200)}
    words[stack] = middle.address + middle.size - 1
    # Where middle's own return address lies is what the call frame information tells.
    state = registers(RIP=leaf.address, RSP=stack, RBP=0x1234)
    before = frames_of.caller(state, leaf.address, memory(words))
    assert before is not None
    assert before["RIP"] == words[stack] and before["RSP"] == stack + 8 and before["RBP"] == 0x1234
    inside = middle.address + middle.size // 2
    again = frames_of.caller(state | {"RSP": stack}, inside, memory(words))
    assert again is not None and again["RSP"] - stack > 200


def test_code_of_another_program_has_no_frames(program: pathlib.Path) -> None:
    frames_of = CallFrames.of_file(program)
    assert frames_of is not None and len(frames_of) > 3
    assert frames_of.caller(registers(), 0x10, memory({})) is None


@given(st.binary(max_size=300))
def test_any_section_of_frames_is_taken(section: bytes) -> None:
    frames_of = CallFrames(section, 0x400000)
    with contextlib.suppress(DebuggerError):
        before = frames_of.caller(registers(RSP=8), 0x400010, memory({}))
        assert before is None


def test_files_that_are_no_elf_are_named(tmp_path: pathlib.Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no program")
    for read in (SymbolTable.of_files, lambda files: CallFrames.of_file(files[0])):
        with pytest.raises(DebuggerError, match=r"notes\.txt"):
            read([text])
        with pytest.raises(DebuggerError, match="missing"):
            read([tmp_path / "missing"])


def test_symbols_are_found_by_address_and_name() -> None:
    table = SymbolTable([Symbol("one(int)", 0x1000, 0x10), Symbol("label", 0x2000, 0)])
    assert table.describe(0x100F) == "one(int)+0xf" and table.describe(0x1010) is None
    assert table.describe(0x2001) == "label+0x1" and table.describe(0xFFF) is None
    found = table.named("one")
    assert found is not None and found.address == 0x1000
    assert table.named("two") is None
