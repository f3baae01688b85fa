"""QEMU's migration stream, read and written as bytes (version 3, as QEMU 7.2 speaks it).

Reading splits a stream into guest memory and the rest. Memory is a `PageSet` over the stream's
RAM blocks. The rest, called the state, is the stream with its RAM sections cut out: header,
configuration, and the devices' sections, which only QEMU can delimit and which are replayed as they
came. Writing puts such a state and any set of pages together again.

| section | bytes after the type byte                                                        |
|---------|----------------------------------------------------------------------------------|
| 0x01 START, 0x04 FULL | u32 id, u8 + name, u32 instance, u32 version, contents             |
| 0x02 PART, 0x03 END   | u32 id, contents                                                   |
| 0x07 CONFIGURATION    | u32 + machine name                                                 |
| 0x08 COMMAND          | u16 command, u16 + data                                            |
| 0x7e FOOTER           | u32 id                                                             |

All numbers are big-endian. The contents of RAM's sections are records that begin with a u64: a
page-aligned address and flags in the low bits (`MEM_SIZE` and so on below).
Source: migration/savevm.c and migration/ram.c of QEMU 7.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
import numpy.typing as npt

from orchestrator.errors import MigrationError
from snapshot_store.model import Block
from snapshot_store.pageset import PAGE_SIZE, PageSet

MAGIC: Final = 0x5145564D
VERSION: Final = 3
RAM_NAME: Final = b"ram"
RAM_ID: Final = 2
"""Section id given to RAM in streams written here; QEMU's own choice, but any would do."""
RAM_VERSION: Final = 4

SECTION_EOF: Final = 0x00
SECTION_START: Final = 0x01
SECTION_PART: Final = 0x02
SECTION_END: Final = 0x03
SECTION_FULL: Final = 0x04
SECTION_CONFIGURATION: Final = 0x07
SECTION_COMMAND: Final = 0x08
SECTION_FOOTER: Final = 0x7E

ZERO_PAGE: Final = 0x02
MEM_SIZE: Final = 0x04
FULL_PAGE: Final = 0x08
END_OF_SECTION: Final = 0x10
SAME_BLOCK: Final = 0x20

DEFAULT_MAX_RAM: Final = 64 << 30
MAX_BLOCKS: Final = 256
MAX_STATE: Final = 64 << 20
MAX_NAME: Final = 4096

UNSEEN: Final = -2
ZERO: Final = -1
LEAST_ROWS: Final = 512

ZERO_RECORD: Final = np.dtype([("word", ">u8"), ("fill", "u1")])
FULL_RECORD: Final = np.dtype([("word", ">u8"), ("page", "u1", (PAGE_SIZE,))])

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_HEADER = struct.Struct(">II")
_INSTANCE = struct.Struct(">II")

Numbers = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]


class StreamDecoder:
    """Reads a stream in pieces of any size; trusts nothing in it.

    `feed` what comes, `finish` at its end. `next_page` tells how far the pass over memory has come.
    While `keep` is false the contents of pages are passed over; the held-back pre-copy does so in
    its first pass.

    Args:
        max_ram: bytes of RAM that the stream may declare; room for it is reserved, not used.
        keep: whether the contents of pages are kept.
    """

    def __init__(self, max_ram: int = DEFAULT_MAX_RAM, keep: bool = True) -> None:
        self.keep = keep
        self.blocks: tuple[Block, ...] = ()
        """RAM blocks in the stream's order, end to end; empty until they have been declared."""
        self.next_page = 0
        """The page after the last one that came."""
        self.received = 0
        """Bytes fed so far."""
        self._max_ram = max_ram
        self._rest = bytearray()
        self._step = self._header
        self._preamble = bytearray()
        self._devices = bytearray()
        self._ram_id = -1
        self._ram_ended = False
        self._by_name: dict[bytes, Block] = {}
        self._block: Block | None = None
        self._memory = _Memory(0)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take in the next bytes. Raises MigrationError when they cannot be of such a stream."""
        self.received += len(data)
        self._rest += data
        offset = 0
        with memoryview(self._rest) as view:
            try:
                while taken := self._step(view, offset):
                    offset += taken
            except _Short:
                pass
        del self._rest[:offset]

    def finish(self) -> None:
        """Say that the stream has ended. Raises MigrationError when it was not complete."""
        if self._rest or not self._devices or not self._ram_ended:
            self._refuse("it ends too early")
        if self._devices[-1] != SECTION_EOF:
            self._refuse("its last section has no end")

    def pages(self) -> PageSet:
        """Return the last contents of every page that came while `keep` was true."""
        return self._memory.pages()

    def nonzero_pages(self) -> PageSet:
        """Return the pages that came and are not zero: all of memory, for a whole stream."""
        pages = self._memory.pages()
        content = np.flatnonzero(~pages.zero)
        data = pages.take(content)
        content = content[data.any(axis=1)]
        return PageSet(pages.numbers[content], pages.take(content))

    @property
    def state(self) -> bytes:
        """The stream without its RAM sections; see `split_state`."""
        return bytes(self._preamble + self._devices)

    def _header(self, view: memoryview, at: int) -> int:
        magic, version = _HEADER.unpack(_need(view, at, 8))
        if magic != MAGIC or version != VERSION:
            self._refuse(f"it begins with {magic:#x} version {version}, not QEVM version 3")
        self._preamble += view[at : at + 8]
        self._step = self._section
        return 8

    def _section(self, view: memoryview, at: int) -> int:
        kind = _need(view, at, 1)[0]
        if kind in (SECTION_FULL, SECTION_EOF):
            if not self._ram_ended:
                self._refuse("its devices come before the end of its memory")
            self._step = self._device_bytes
            return self._device_bytes(view, at)
        if kind == SECTION_START:
            return self._start(view, at)
        if kind in (SECTION_PART, SECTION_END):
            self._check_id(view, at)
            self._ram_ended = kind == SECTION_END
            self._step = self._record
            return 5
        if kind == SECTION_FOOTER:
            self._check_id(view, at)
            return 5
        if kind == SECTION_CONFIGURATION and not self.blocks:
            length = self._length(_U32.unpack(_need(view, at + 1, 4))[0], MAX_NAME)
            self._preamble += _need(view, at, 5 + length)
            return 5 + length
        if kind == SECTION_COMMAND:
            length = _U16.unpack(_need(view, at + 3, 2))[0]
            _need(view, at, 5 + length)
            return int(5 + length)
        self._refuse(f"section type {kind:#x} is not expected here")

    def _start(self, view: memoryview, at: int) -> int:
        length = _need(view, at + 5, 1)[0]
        head = _need(view, at, 14 + length)
        name = bytes(head[6 : 6 + length])
        _, version = _INSTANCE.unpack(head[6 + length :])
        if name != RAM_NAME or version != RAM_VERSION or self._ram_id >= 0:
            self._refuse(f"section {name!r} version {version} is not the one RAM section it may be")
        self._ram_id = _U32.unpack(head[1:5])[0]
        self._step = self._record
        return len(head)

    def _check_id(self, view: memoryview, at: int) -> None:
        number = _U32.unpack(_need(view, at + 1, 4))[0]
        if number != self._ram_id:
            self._refuse(f"section id {number} was never started")

    def _record(self, view: memoryview, at: int) -> int:
        word: int = _U64.unpack(_need(view, at, 8))[0]
        flags = word % PAGE_SIZE
        if flags == END_OF_SECTION:
            self._step = self._section
            return 8
        if flags == MEM_SIZE:
            return self._declare(view, at, word - flags)
        if flags in (ZERO_PAGE | SAME_BLOCK, FULL_PAGE | SAME_BLOCK):
            if self._block is None:
                self._refuse("a page comes before the name of its block")
            run = self._run(view, at, flags & ~SAME_BLOCK)
            return run or self._page(view, at, 8, word - flags, flags & ~SAME_BLOCK)
        if flags in (ZERO_PAGE, FULL_PAGE):
            length = _need(view, at + 8, 1)[0]
            name = bytes(_need(view, at + 9, length))
            block = self._by_name.get(name)
            if block is None:
                self._refuse(f"block {name!r} was never declared")
            # Set only with the whole record, so that a record cut short can be read again.
            taken = self._page(view, at, 9 + length, word - flags, flags, block)
            self._block = block
            return taken
        self._refuse(f"a record of memory has flags {flags:#x}")

    def _declare(self, view: memoryview, at: int, total: int) -> int:
        if self.blocks:
            self._refuse("memory is declared twice")
        if not 0 < total <= self._max_ram:
            self._refuse(f"{total} bytes of memory are declared, at most {self._max_ram} may be")
        blocks: list[Block] = []
        names: dict[bytes, Block] = {}
        taken, declared = 8, 0
        while declared < total:
            length = _need(view, at + taken, 1)[0]
            name = bytes(_need(view, at + taken + 1, length))
            size = _U64.unpack(_need(view, at + taken + 1 + length, 8))[0]
            if not 0 < size <= total - declared or size % PAGE_SIZE or name in names:
                self._refuse(f"block {name!r} of {size} bytes does not fit what is declared")
            if len(blocks) == MAX_BLOCKS:
                self._refuse(f"more than {MAX_BLOCKS} blocks are declared")
            block = Block(name.decode("latin-1"), size, declared // PAGE_SIZE)
            blocks.append(block)
            names[name] = block
            declared += size
            taken += 9 + length
        self.blocks, self._by_name = tuple(blocks), names
        self._memory = _Memory(total // PAGE_SIZE)
        return taken

    def _page(
        self,
        view: memoryview,
        at: int,
        head: int,
        address: int,
        kind: int,
        block: Block | None = None,
    ) -> int:
        """Take one page record whose contents begin `head` bytes after `at`."""
        block = block or self._block
        assert block is not None
        if address >= block.size:
            self._refuse(f"address {address:#x} lies outside block {block.name!r}")
        page = block.first_page + address // PAGE_SIZE
        if kind == ZERO_PAGE:
            if _need(view, at + head, 1)[0]:
                self._refuse("a page is filled with another byte than zero")
            if self.keep:
                self._memory.clear(np.array([page], np.intp))
            taken = head + 1
        else:
            contents = _need(view, at + head, PAGE_SIZE)
            if self.keep:
                data = np.frombuffer(contents, np.uint8).reshape(1, PAGE_SIZE)
                self._memory.write(np.array([page], np.intp), data)
            taken = head + PAGE_SIZE
        self.next_page = page + 1
        return taken

    def _run(self, view: memoryview, at: int, kind: int) -> int:
        """Take as many records of one kind and block as follow each other; 0 for fewer than two.

        The number looked at doubles while all fit, so that the cost stays in proportion to the run.
        """
        assert self._block is not None
        layout = ZERO_RECORD if kind == ZERO_PAGE else FULL_RECORD
        available = (len(view) - at) // layout.itemsize
        taken, window = 0, 4
        while available - taken >= 2:
            count = min(window, available - taken)
            start = at + taken * layout.itemsize
            records = np.frombuffer(view, layout, count, start)
            words = records["word"]
            fits = (words % PAGE_SIZE == (kind | SAME_BLOCK)) & (words < self._block.size)
            if kind == ZERO_PAGE:
                fits &= records["fill"] == 0
            good = count if fits.all() else int(fits.argmin())
            if good:
                pages = (words[:good] // PAGE_SIZE).astype(np.intp) + self._block.first_page
                if self.keep and kind == ZERO_PAGE:
                    self._memory.clear(pages)
                elif self.keep:
                    self._memory.write(pages, records["page"][:good])
                self.next_page = int(pages[-1]) + 1
            taken += good
            if good < count:
                break
            window = min(window * 2, 1 << 14)
        return taken * layout.itemsize

    def _device_bytes(self, view: memoryview, at: int) -> int:
        if len(self._devices) + len(view) - at > MAX_STATE:
            self._refuse(f"its devices take more than {MAX_STATE} bytes")
        self._devices += view[at:]
        return len(view) - at

    def _length(self, value: int, limit: int) -> int:
        if value > limit:
            self._refuse(f"a length of {value} bytes is given where {limit} are the most")
        return value

    def _refuse(self, cause: str) -> NoReturn:
        raise MigrationError(
            f"The migration stream cannot be read near byte {self.received}: {cause}. "
            "Check that QEMU is version 7.2; if it is, this guest must be given up."
        )


class _Memory:
    """The last contents of each page, in rows as they came: a delta touches few of many pages.

    One row at most per page, so that no stream can make it grow beyond the RAM it declared.
    """

    def __init__(self, count: int) -> None:
        # The kernel gives memory to what is written only, so declaring much RAM costs little.
        self._row = np.full(count, UNSEEN, np.int32)
        self._data: Bytes = np.empty((0, PAGE_SIZE), np.uint8)
        self._used = 0

    def write(self, pages: npt.NDArray[np.intp], data: Bytes) -> None:
        """Set pages (shape (n,)) to `data` (shape (n, 4096)); of equal pages the last wins."""
        fresh = pages[self._row[pages] < 0]
        if len(fresh):
            fresh = np.unique(fresh)
            end = self._used + len(fresh)
            if end > len(self._data):
                room = np.empty((max(2 * len(self._data), end, LEAST_ROWS), PAGE_SIZE), np.uint8)
                room[: self._used] = self._data[: self._used]
                self._data = room
            self._row[fresh] = np.arange(self._used, end, dtype=np.int32)
            self._used = end
        self._data[self._row[pages]] = data

    def clear(self, pages: npt.NDArray[np.intp]) -> None:
        """Set pages to zero."""
        rows = self._row[pages]
        self._data[rows[rows >= 0]] = 0
        self._row[pages[rows < 0]] = ZERO

    def pages(self) -> PageSet:
        """Return every page that was set."""
        numbers = np.flatnonzero(self._row != UNSEEN)
        rows = self._row[numbers].astype(np.intp)
        return PageSet.stored(numbers.astype(np.uint64), rows, self._data)


class _Short(Exception):
    """More bytes are needed before the next record can be read."""


def _need(view: memoryview, at: int, count: int) -> memoryview:
    if at + count > len(view):
        raise _Short
    return view[at : at + count]


@dataclass(frozen=True)
class State:
    """A state in its two parts: what precedes memory in a stream, and what follows it."""

    preamble: bytes
    devices: bytes


def split_state(state: bytes) -> State:
    """Split what `StreamDecoder.state` returned; raises MigrationError when it is none."""
    try:
        if _HEADER.unpack_from(state) != (MAGIC, VERSION):
            raise MigrationError("The state does not begin as a migration stream does.")
        end = 8
        while state[end] == SECTION_CONFIGURATION:
            end += 5 + int(_U32.unpack_from(state, end + 1)[0])
        if state[end] not in (SECTION_FULL, SECTION_EOF):
            raise MigrationError(f"The state has a section of type {state[end]:#x} before devices.")
    except (struct.error, IndexError) as error:
        raise MigrationError("The state ends too early; the snapshot is damaged.") from error
    return State(state[:end], state[end:])


def encode_head(preamble: bytes, blocks: Iterable[Block]) -> bytes:
    """Return the beginning of a stream: `preamble`, and RAM's blocks, of `size` bytes each."""
    declared = list(blocks)
    parts = [
        *(preamble, bytes([SECTION_START]), _U32.pack(RAM_ID)),
        *(_name(RAM_NAME), _INSTANCE.pack(0, RAM_VERSION)),
        _U64.pack(sum(block.size for block in declared) | MEM_SIZE),
    ]
    for block in declared:
        parts += [_name(block.name.encode("latin-1")), _U64.pack(block.size)]
    parts += [_U64.pack(END_OF_SECTION), _footer()]
    return b"".join(parts)


def encode_pages(blocks: Sequence[Block], pages: PageSet, last: bool) -> bytes:
    """Return a RAM section that sets `pages` (numbered over `blocks`).

    `last` makes it the END section, which every stream has once, after all PART sections. Raises
    MigrationError for a page outside the blocks.
    """
    kind = SECTION_END if last else SECTION_PART
    parts = [bytes([kind]) + _U32.pack(RAM_ID)]
    zero = pages.zero
    covered = 0
    for block in blocks:
        low, high = np.searchsorted(pages.numbers, [block.first_page, block.end_page])
        covered += int(high - low)
        addresses = (pages.numbers[low:high] - np.uint64(block.first_page)) * np.uint64(PAGE_SIZE)
        empty = zero[low:high]
        zeros = np.zeros(int(empty.sum()), ZERO_RECORD)
        zeros["word"] = addresses[empty] | np.uint64(ZERO_PAGE | SAME_BLOCK)
        full = np.empty(int(high - low) - len(zeros), FULL_RECORD)
        full["word"] = addresses[~empty] | np.uint64(FULL_PAGE | SAME_BLOCK)
        full["page"] = pages.take(np.flatnonzero(~empty) + low)
        parts += _named(block, zeros.tobytes() + full.tobytes())
    if covered != len(pages):
        raise MigrationError(
            f"{len(pages) - covered} of {len(pages)} pages lie outside the machine's memory blocks."
        )
    parts += [_U64.pack(END_OF_SECTION), _footer()]
    return b"".join(parts)


def _named(block: Block, records: bytes) -> list[bytes]:
    """Put the block's name into the first record, which tells it from the block before."""
    if not records:
        return []
    word = _U64.unpack_from(records)[0] & ~SAME_BLOCK
    return [_U64.pack(word), _name(block.name.encode("latin-1")), records[8:]]


def _name(name: bytes) -> bytes:
    return bytes([len(name)]) + name


def _footer() -> bytes:
    return bytes([SECTION_FOOTER]) + _U32.pack(RAM_ID)
