"""The migration codec against a plain writer of its own, and against hostile bytes."""

from __future__ import annotations

import itertools
import random
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import MigrationError
from orchestrator.vm.migration_stream import (
    StreamDecoder,
    encode_head,
    encode_pages,
    split_state,
)
from snapshot_store.model import Block
from snapshot_store.pageset import PAGE_SIZE, PageSet

MACHINE = b"microvm"
PREAMBLE = b"QEVM" + struct.pack(">IBI", 3, 7, len(MACHINE)) + MACHINE
DEVICES = b"\x04" + b"the devices' sections, whatever they hold" + b"\x00"
STATE = PREAMBLE + DEVICES
MAX_RAM = 1 << 20
SECTION_ID = 0x4242

Record = tuple[int, int]
"""A page number over all blocks, and the byte it is filled with (0: a zero page)."""


def laid_out(sizes: list[int]) -> tuple[Block, ...]:
    """Return blocks of these sizes in pages, end to end."""
    blocks, first = [], 0
    for index, pages in enumerate(sizes):
        blocks.append(Block(f"block/{index}", pages * PAGE_SIZE, first))
        first += pages
    return tuple(blocks)


def page_of(value: int) -> bytes:
    """Return a page that is zero for 0 and else differs from byte to byte."""
    return bytes((value * (at % 7 + 1)) % 256 for at in range(PAGE_SIZE)) if value else bytes(4096)


def plain_stream(blocks: tuple[Block, ...], sections: list[list[Record]]) -> bytes:
    """Write a stream record by record, as migration/ram.c does; the last section ends RAM."""
    name = struct.Struct(">B")
    out = PREAMBLE + b"\x01" + struct.pack(">IB3sII", SECTION_ID, 3, b"ram", 0, 4)
    out += struct.pack(">Q", sum(block.size for block in blocks) | 0x04)
    for block in blocks:
        out += name.pack(len(block.name)) + block.name.encode() + struct.pack(">Q", block.size)
    out += struct.pack(">Q", 0x10) + b"\x7e" + struct.pack(">I", SECTION_ID)
    before = None
    for index, records in enumerate(sections):
        out += (b"\x03" if index == len(sections) - 1 else b"\x02") + struct.pack(">I", SECTION_ID)
        for number, value in records:
            block = next(b for b in blocks if b.first_page <= number < b.end_page)
            flags = (0x08 if value else 0x02) | (0x20 if block is before else 0)
            out += struct.pack(">Q", (number - block.first_page) * PAGE_SIZE | flags)
            if block is not before:
                out += name.pack(len(block.name)) + block.name.encode()
            out += page_of(value) if value else b"\x00"
            before = block
        out += struct.pack(">Q", 0x10) + b"\x7e" + struct.pack(">I", SECTION_ID)
    return out + DEVICES


def decode(stream: bytes, cuts: list[int]) -> StreamDecoder:
    """Feed a whole stream in pieces that end at `cuts`."""
    decoder = StreamDecoder(MAX_RAM)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, stop in itertools.pairwise(edges):
        decoder.feed(stream[start:stop])
    decoder.finish()
    return decoder


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[Block, ...], list[list[Record]]]:
    """Blocks, and sections of records over them in any order, with repetitions and runs."""
    blocks = laid_out(draw(st.lists(st.integers(1, 24), min_size=1, max_size=3)))
    last = blocks[-1].end_page - 1
    stretch = st.builds(
        lambda start, count, value: [(min(start + i, last), value) for i in range(count)],
        *(st.integers(0, last), st.integers(1, 20), st.integers(0, 3)),
    )
    section = st.lists(stretch, max_size=4).map(lambda runs: [r for run in runs for r in run])
    return blocks, draw(st.lists(section, min_size=1, max_size=3))


@given(layouts(), st.lists(st.integers(0, 1 << 20), max_size=6))
@settings(max_examples=150)
def test_reads_what_a_plain_writer_wrote(
    layout: tuple[tuple[Block, ...], list[list[Record]]], cuts: list[int]
) -> None:
    blocks, sections = layout
    wanted = {number: value for records in sections for number, value in records}
    decoder = decode(plain_stream(blocks, sections), cuts)
    assert decoder.blocks == blocks
    assert decoder.state == STATE
    pages = decoder.pages()
    assert pages.numbers.tolist() == sorted(wanted)
    assert [page.tobytes() for page in pages.data] == [page_of(wanted[n]) for n in sorted(wanted)]
    content = decoder.nonzero_pages()
    assert content.numbers.tolist() == sorted(n for n, value in wanted.items() if value)


@given(layouts(), st.lists(st.integers(0, 1 << 20), max_size=3))
@settings(max_examples=100)
def test_reads_what_it_wrote(
    layout: tuple[tuple[Block, ...], list[list[Record]]], cuts: list[int]
) -> None:
    blocks, sections = layout
    stream = encode_head(PREAMBLE, blocks)
    wanted: dict[int, int] = {}
    for index, records in enumerate(sections):
        values = dict(records)
        wanted |= values
        numbers = sorted(values)
        data = np.frombuffer(b"".join(page_of(values[n]) for n in numbers), np.uint8)
        pages = PageSet(np.array(numbers, np.uint64), data.reshape(-1, PAGE_SIZE))
        stream += encode_pages(blocks, pages, last=index == len(sections) - 1)
    decoder = decode(stream + DEVICES, cuts)
    pages = decoder.pages()
    assert pages.numbers.tolist() == sorted(wanted)
    assert [page.tobytes() for page in pages.data] == [page_of(wanted[n]) for n in sorted(wanted)]


def test_writes_what_qemu_writes() -> None:
    # One block, a zero page and a full page in order: here the two writers must agree to the byte,
    # but for the section id, which is free.
    blocks = laid_out([4])
    pages = PageSet(
        np.array([1, 2], np.uint64),
        np.frombuffer(page_of(0) + page_of(9), np.uint8).reshape(-1, PAGE_SIZE),
    )
    written = encode_head(PREAMBLE, blocks) + encode_pages(blocks, pages, last=True) + DEVICES
    plain = plain_stream(blocks, [[(1, 0), (2, 9)]])
    assert written == plain.replace(struct.pack(">I", SECTION_ID), struct.pack(">I", 2))


def test_first_pass_contents_are_passed_over() -> None:
    blocks = laid_out([8])
    stream = plain_stream(blocks, [[(n, 5) for n in range(8)], [(3, 6), (4, 0)]])
    decoder = StreamDecoder(MAX_RAM, keep=False)
    held = stream.index(page_of(5)) + 6 * (PAGE_SIZE + 8)
    decoder.feed(stream[:held])
    assert decoder.next_page == 6
    decoder.keep = True
    decoder.feed(stream[held:])
    decoder.finish()
    pages = decoder.pages()
    assert pages.numbers.tolist() == [3, 4, 6, 7]
    assert [page.tobytes() for page in pages.data] == [page_of(v) for v in (6, 0, 5, 5)]


def test_a_page_outside_the_blocks_is_not_written() -> None:
    pages = PageSet(np.array([4], np.uint64), np.ones((1, PAGE_SIZE), np.uint8))
    with pytest.raises(MigrationError, match="outside"):
        encode_pages(laid_out([4]), pages, last=True)


def test_state_is_split_where_devices_begin() -> None:
    parts = split_state(STATE)
    assert (parts.preamble, parts.devices) == (PREAMBLE, DEVICES)
    for end in range(len(PREAMBLE) + 1):
        with pytest.raises(MigrationError):
            split_state(STATE[:end])
    with pytest.raises(MigrationError):
        split_state(PREAMBLE + b"\x02rest")


def test_a_stream_cut_short_is_not_complete() -> None:
    stream = plain_stream(laid_out([4]), [[(0, 1), (1, 0), (2, 0), (3, 2)]])
    for end in range(0, len(stream) - 1, 7):
        decoder = StreamDecoder(MAX_RAM)
        decoder.feed(stream[:end])
        with pytest.raises(MigrationError):
            decoder.finish()


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (b"QEVM", b"QEVX", "begins with"),
        (struct.pack(">II", 0, 4), struct.pack(">II", 0, 5), "version 5"),
        (b"\x03ram", b"\x03rom", "RAM section"),
        (struct.pack(">Q", 4 * PAGE_SIZE | 4), struct.pack(">Q", 1 << 40 | 4), "at most"),
        (struct.pack(">Q", 4 * PAGE_SIZE), struct.pack(">Q", 4 * PAGE_SIZE + 1), "does not fit"),
        (struct.pack(">Q", 4 * PAGE_SIZE), struct.pack(">Q", 5 * PAGE_SIZE), "does not fit"),
        (struct.pack(">Q", 0x22 | 2 << 12), struct.pack(">Q", 0x22 | 9 << 12), "outside block"),
        (struct.pack(">Q", 0x22 | 2 << 12), struct.pack(">Q", 0x62 | 2 << 12), "flags 0x62"),
        (struct.pack(">Q", 0x22 | 2 << 12) + b"\0", struct.pack(">QB", 0x22 | 2 << 12, 1), "fille"),
        (b"\x10\x02\x07block/0", b"\x10\x02\x07block/1", "never declared"),
        (
            b"\x7e" + struct.pack(">I", SECTION_ID),
            b"\x7e" + struct.pack(">I", SECTION_ID + 1),
            "never started",
        ),
        (
            b"\x03" + struct.pack(">I", SECTION_ID),
            b"\x55" + struct.pack(">I", SECTION_ID),
            "type 0x55",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_cause(old: bytes, new: bytes, cause: str) -> None:
    stream = plain_stream(laid_out([4]), [[(1, 0), (2, 0)]])
    assert old in stream
    with pytest.raises(MigrationError, match=cause):
        StreamDecoder(MAX_RAM).feed(stream.replace(old, new))


def test_hostile_streams_end_in_an_error_or_in_pages() -> None:
    chance = random.Random(20)
    good = plain_stream(laid_out([6, 3]), [[(n, n % 3) for n in range(9)], [(2, 2), (8, 0)]])
    # Bytes inside pages are of no interest: aim at what lies before and between them.
    pages = [at.start() for value in (1, 2) for at in re.finditer(re.escape(page_of(value)), good)]
    inside = {at for start in pages for at in range(start, start + PAGE_SIZE)}
    places = [at for at in range(len(good)) if at not in inside]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(1500):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            at = chance.choice(places)
            action = chance.randrange(4)
            if action == 0:
                bad[at % len(bad)] = chance.randrange(256)
            elif action == 1:
                bad[at % len(bad)] ^= 1 << chance.randrange(8)
            elif action == 2:
                del bad[at : at + chance.randint(1, 40)]
            else:
                bad[at:at] = chance.randbytes(chance.randint(1, 40))
        decoder = StreamDecoder(MAX_RAM)
        try:
            for start in range(0, len(bad), 5000):
                decoder.feed(bad[start : start + 5000])
            decoder.finish()
            outcomes["read"] += len(decoder.pages()) > 0
        except MigrationError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0


@given(st.binary(max_size=300))
def test_noise_never_gets_past_the_errors(noise: bytes) -> None:
    for stream in (noise, PREAMBLE + noise, encode_head(PREAMBLE, laid_out([2])) + noise):
        decoder = StreamDecoder(MAX_RAM)
        try:
            decoder.feed(stream)
            decoder.finish()
        except MigrationError:
            continue
        assert decoder.state[-1] == 0
