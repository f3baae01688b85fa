"""What a snapshot is: its levels, its memory layout, its manifest, and the draft of one to come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from snapshot_store.pageset import PAGE_SIZE, PageSet

FORMAT_VERSION: Final = 2


class Level(StrEnum):
    """How far along a function's life the snapshot was taken."""

    BASE = "base"
    FUNCTION = "function"
    ARGUMENT = "argument"


class Depth(StrEnum):
    """Where it was taken: a whole machine from outside, or a unikernel context from inside."""

    VM = "vm"
    UC = "uc"


@dataclass(frozen=True)
class Block:
    """One RAM block; blocks lie end to end in one space of page numbers.

    Attributes:
        name: the block's name, as the machine calls it.
        size: bytes, a multiple of the page size.
        first_page: number of the block's first page in the common space.
    """

    name: str
    size: int
    first_page: int

    @property
    def end_page(self) -> int:
        """Number of the first page after the block."""
        return self.first_page + self.size // PAGE_SIZE


@dataclass(frozen=True)
class Checksum:
    """Size and sums of one file: SHA-256 is its identity, CRC-32 the cheap check while loading."""

    size: int
    sha256: str
    crc32: int


@dataclass(frozen=True)
class Manifest:
    """All that is known of one stored snapshot; see `snapshot_store.manifest` for its encoding.

    Attributes:
        id: first 16 hex digits of the SHA-256 of the canonical manifest without the id.
        format_version: version of the directory's format.
        depth: `vm` or `uc`.
        level: base, function or argument.
        parent: id of the snapshot this one is a delta of; None if it stands alone.
        image: SHA-256 of the guest image.
        runtime: name of the runtime in the image.
        function: SHA-256 that identifies the function; None for a base.
        key: the argument key; only for level argument.
        label: a name for people.
        ao: whether anticipatory optimisation was done before the base was taken.
        created: Unix time in seconds.
        blocks: the memory layout that page numbers refer to.
        facts: what restoring depends on (machine, accelerator, cpu, qemu ...).
        page_count: pages in the index, zero pages included.
        stored_pages: pages in pages.bin.
        state_size: bytes of the state, which state.bin holds deflated.
        checksums: sums of each file beside the manifest, by file name.
    """

    id: str
    format_version: int
    depth: Depth
    level: Level
    parent: str | None
    image: str
    runtime: str
    function: str | None
    key: str | None
    label: str
    ao: bool
    created: int
    blocks: tuple[Block, ...]
    facts: Mapping[str, str]
    page_count: int
    stored_pages: int
    state_size: int
    checksums: Mapping[str, Checksum]

    @property
    def stored_bytes(self) -> int:
        """Bytes of the snapshot's data files (its own, not its parents')."""
        return sum(checksum.size for checksum in self.checksums.values())


@dataclass(frozen=True)
class Draft:
    """A snapshot to be: the fields of `Manifest` that the caller knows, plus the contents.

    `pages` holds only what differs from the parent; without a parent it is all of memory,
    and pages that are not in it are zero.
    """

    depth: Depth
    level: Level
    image: str
    runtime: str
    blocks: tuple[Block, ...]
    pages: PageSet
    state: bytes
    parent: str | None = None
    function: str | None = None
    key: str | None = None
    label: str = ""
    ao: bool = True
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Branch:
    """A snapshot and what is built on it."""

    manifest: Manifest
    children: "tuple[Branch, ...]"
