"""The channel's dispatcher side: its layout is Rust's, and a worker's words are not believed."""

from __future__ import annotations

import mmap
import os
import pathlib
import re
import threading
from collections.abc import Iterator

import pytest

from orchestrator.errors import MicroError
from orchestrator.micro import channel as layout
from orchestrator.micro.channel import Channel, Ending, Kind, Sizes

CRATES = pathlib.Path(__file__).resolve().parents[4] / "micro_worker" / "crates"
SMALL = Sizes(slots=4, buffer=256, functions=2)


@pytest.fixture
def channel() -> Iterator[Channel]:
    with Channel(SMALL) as opened:
        yield opened


@pytest.fixture
def other(channel: Channel) -> Iterator[mmap.mmap]:
    """The same memory, as a worker maps it."""
    with mmap.mmap(channel.descriptor, SMALL.total) as mapped:
        yield mapped


def write(memory: mmap.mmap, at: int, value: int, size: int) -> None:
    memory[at : at + size] = value.to_bytes(size, "little")


def answer(memory: mmap.mmap, number: int, ending: int, size: int, payload: bytes = b"") -> None:
    at = SMALL.responses + number % SMALL.slots * layout.RESPONSE_BYTES
    write(memory, at, number, 8)
    write(memory, at + 8, ending, 4)
    write(memory, at + 12, size, 4)
    write(memory, at + 16, 111, 8)
    write(memory, at + 24, 222, 8)
    start = SMALL.outputs + number % SMALL.slots * SMALL.buffer
    memory[start : start + len(payload)] = payload
    write(memory, layout.RESPONSE_HEAD_AT, number + 1, 8)


def rust_numbers(crate: str, file: str, pattern: str) -> dict[str, int]:
    text = (CRATES / crate / "src" / file).read_text(encoding="utf-8")
    return {name: int(number) for name, number in re.findall(pattern, text)}


def test_layout_is_rusts() -> None:
    numbers = rust_numbers("channel", "layout.rs", r"pub const (\w+): \w+ = (\d+);")
    shared = {name: number for name, number in numbers.items() if hasattr(layout, name)}
    assert len(shared) >= 17
    assert shared == {name: getattr(layout, name) for name in shared}


@pytest.mark.parametrize(
    ("crate", "numbers", "prefix"),
    [("abi", Ending, "Returned"), ("channel", Kind, "Call"), ("channel", layout.State, "Starting")],
)
def test_numbers_are_rusts(
    crate: str, numbers: type[Ending] | type[Kind] | type[layout.State], prefix: str
) -> None:
    text = (CRATES / crate / "src" / "lib.rs").read_text(encoding="utf-8")
    (body,) = re.findall(rf"pub enum \w+ \{{((?:(?!\}}).)*\b{prefix} = 0.*?)\}}", text, re.DOTALL)
    rust = {name.lower(): int(number) for name, number in re.findall(r"(\w+) = (\d+)", body)}
    assert rust == {each.name.replace("_", "").lower(): each.value for each in numbers}


def test_requests_and_answers(channel: Channel, other: mmap.mmap) -> None:
    assert channel.send(Kind.CALL, 1, b"hello", 5000) == 0
    at = layout.HEADER_BYTES
    words = [int.from_bytes(other[at + n : at + n + 4], "little") for n in (0, 4, 8, 12)]
    assert words == [Kind.CALL, 1, 5, 0]
    assert other[SMALL.inputs : SMALL.inputs + 5] == b"hello"
    assert channel.poll() is None
    answer(other, 0, Ending.RETURNED, 2, b"{}")
    got = channel.poll()
    assert got is not None
    assert (got.ending, got.payload, got.load_ns, got.run_ns) == (Ending.RETURNED, b"{}", 111, 222)
    assert channel.poll() is None


def test_slots_come_again(channel: Channel, other: mmap.mmap) -> None:
    for number in range(3 * SMALL.slots):
        assert channel.send(Kind.CALL, 0, str(number).encode(), 0) == number
        answer(other, number, Ending.RETURNED, 3, b"%03d" % number)
        got = channel.poll()
        assert got is not None and got.payload == b"%03d" % number


def test_full(channel: Channel) -> None:
    for _ in range(SMALL.slots):
        assert not channel.full
        channel.send(Kind.CALL, 0, b"", 0)
    assert channel.full
    with pytest.raises(ValueError, match="no room"):
        channel.send(Kind.CALL, 0, b"", 0)


def test_answers_to_nothing_are_not_taken(channel: Channel, other: mmap.mmap) -> None:
    write(other, layout.RESPONSE_HEAD_AT, 2**64 - 1, 8)
    assert channel.poll() is None
    channel.send(Kind.CALL, 0, b"", 0)
    assert channel.poll() is not None
    assert channel.poll() is None


def test_absurd_answers_are_bounded(channel: Channel, other: mmap.mmap) -> None:
    channel.send(Kind.CALL, 0, b"", 0)
    answer(other, 0, 4_000_000_000, 4_000_000_000)
    got = channel.poll()
    assert got is not None
    assert got.ending is Ending.BAD_REQUEST
    assert len(got.payload) == SMALL.buffer


def test_answers_to_other_requests_are_not_believed(channel: Channel, other: mmap.mmap) -> None:
    for number in range(SMALL.slots):
        channel.send(Kind.CALL, 0, b"", 0)
        answer(other, number, Ending.RETURNED, 6, b"secret")
        assert channel.poll() is not None
    channel.send(Kind.CALL, 0, b"", 0)
    write(other, layout.RESPONSE_HEAD_AT, 2**63, 8)
    got = channel.poll()
    assert got is not None
    assert (got.ending, got.payload) == (Ending.BAD_REQUEST, b"")


def test_successor_finds_what_was_not_the_workers_put_right(
    channel: Channel, other: mmap.mmap
) -> None:
    channel.register("one", pathlib.Path("/a.so"))
    for number in range(3):
        channel.send(Kind.CALL, 0, b"", 0)
        answer(other, number, Ending.RETURNED, 0)
    channel.poll()
    path = SMALL.table + 4 + layout.NAME_BYTES
    for head, right in ((2, 2), (0, 1), (2**63, 3)):
        # The state and both heads, the sizes and the table, but for what is not in the header.
        other[: layout.LAST_WORDS_AT] = b"\xee" * layout.LAST_WORDS_AT
        other[SMALL.table : path + 9] = b"\xee" * (path + 9 - SMALL.table)
        write(other, layout.RESPONSE_HEAD_AT, head, 8)
        channel.expect_successor()
        assert channel.answered == right
        assert channel.state == layout.State.STARTING
        assert other[SMALL.table : SMALL.table + 7] == b"\x03\0\0\0one"
        assert other[path : path + 9] == b"\x05\0\0\0/a.so"
        words = [int.from_bytes(other[at : at + 4], "little") for at in (8, 12, 16, 20, 64, 320)]
        assert words == [layout.VERSION, SMALL.slots, SMALL.buffer, SMALL.functions, 3, 1]
        assert other[:8] == b"MICRORNG"


def test_last_words_are_bounded(channel: Channel, other: mmap.mmap) -> None:
    assert channel.last_words() == ""
    write(other, layout.LAST_WORDS_AT, 9, 4)
    other[layout.LAST_WORDS_AT + 4 : layout.LAST_WORDS_AT + 13] = b"a\n\x1b[31m\xff!"
    assert channel.last_words() == "a??[31m\ufffd!"
    write(other, layout.LAST_WORDS_AT, 2**32 - 1, 4)
    assert len(channel.last_words()) == layout.LAST_WORDS_BYTES


def test_size_is_sealed(channel: Channel) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(channel.descriptor, 0)


def test_functions_are_registered_in_order(channel: Channel, other: mmap.mmap) -> None:
    assert channel.register("one", pathlib.Path("/a.so")) == 0
    assert channel.register("x" * 500, pathlib.Path("/b.so")) == 1
    at = SMALL.table + layout.FUNCTION_BYTES
    assert int.from_bytes(other[at : at + 4], "little") == layout.NAME_BYTES
    path = at + 4 + layout.NAME_BYTES
    assert other[path : path + 9] == b"\x05\0\0\0/b.so"
    with pytest.raises(MicroError, match="no room for three"):
        channel.register("three", pathlib.Path("/c.so"))


def test_path_too_long(channel: Channel) -> None:
    with pytest.raises(MicroError, match="longer than"):
        channel.register("one", pathlib.Path("/" + "x" * 500))


def test_sleeper_is_woken(channel: Channel) -> None:
    done = threading.Event()

    def sleeper() -> None:
        channel.wait(60)
        done.set()

    thread = threading.Thread(target=sleeper)
    thread.start()
    while not done.wait(0.01):
        channel.interrupt()
    thread.join()
