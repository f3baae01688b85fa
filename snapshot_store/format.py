"""The index and the page file: what a page set looks like on disk.

`pages.idx` holds one 16-byte record for each page, sorted by number: u64 page number, u32 slot in
`pages.bin` (or `ZERO_SLOT`), u32 CRC-32 of the page; little endian. `pages.bin` holds the slots,
4096 bytes each, in the order of their first use; equal pages share one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from snapshot_store.manifest import INDEX_NAME, INDEX_RECORD_SIZE, FieldError
from snapshot_store.model import Manifest
from snapshot_store.pageset import PAGE_SIZE, Bytes, PageSet, Positions

INDEX_RECORD: Final = np.dtype([("number", "<u8"), ("slot", "<u4"), ("crc", "<u4")])
ZERO_SLOT: Final = 0xFFFFFFFF
ZERO_PAGE_CRC: Final = crc32(bytes(PAGE_SIZE))
_CHUNK_PAGES: Final = 1024

assert INDEX_RECORD.itemsize == INDEX_RECORD_SIZE

Index = npt.NDArray[np.void]


@dataclass(frozen=True)
class Layout:
    """How a page set is to be stored.

    Attributes:
        index: the records of pages.idx, shape (n,).
        stored: positions in the set of the pages that own a slot, in slot order, shape (k,).
    """

    index: Index
    stored: Positions


def lay_out(pages: PageSet) -> Layout:
    """Give every page that is not zero a slot, equal pages the same one."""
    holding = np.flatnonzero(~pages.zero)
    sums = page_sums(pages, holding)
    owner = _owners(pages, holding, sums)
    owns = owner == np.arange(len(holding))
    slots = (np.cumsum(owns) - 1)[owner]
    index = np.empty(len(pages), INDEX_RECORD)
    index["number"] = pages.numbers
    index["slot"] = ZERO_SLOT
    index["crc"] = ZERO_PAGE_CRC
    index["slot"][holding] = slots
    index["crc"][holding] = sums
    return Layout(index, holding[owns])


def page_chunks(pages: PageSet, positions: Positions) -> Iterator[Bytes]:
    """Yield the pages at `positions` in order, some thousand at a time, shape (k, 4096)."""
    for start in range(0, len(positions), _CHUNK_PAGES):
        yield pages.take(positions[start : start + _CHUNK_PAGES])


def page_sums(pages: PageSet, positions: Positions) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 of each page at `positions`, shape (k,)."""
    sums = [crc32(page) for chunk in page_chunks(pages, positions) for page in chunk]
    return np.array(sums, dtype=np.uint32)


def parse_index(raw: bytes, manifest: Manifest) -> Index:
    """Read `pages.idx` and check it against the manifest's counts and blocks.

    Raises:
        FieldError: says which rule is broken.
    """
    if len(raw) != manifest.page_count * INDEX_RECORD_SIZE:
        raise FieldError(f"{INDEX_NAME} has {len(raw)} bytes for {manifest.page_count} pages")
    index = np.frombuffer(raw, INDEX_RECORD)
    numbers, slots = index["number"], index["slot"]
    if (numbers[1:] <= numbers[:-1]).any():
        raise FieldError(f"{INDEX_NAME} is not strictly ascending")
    if len(numbers) and int(numbers[-1]) >= manifest.blocks[-1].end_page:
        raise FieldError(f"{INDEX_NAME} has page {numbers[-1]}, which lies outside the blocks")
    used = slots[slots != ZERO_SLOT]
    if len(used) and int(used.max()) >= manifest.stored_pages:
        raise FieldError(f"{INDEX_NAME} uses slot {used.max()} of {manifest.stored_pages}")
    if len(np.unique(used)) != manifest.stored_pages:
        raise FieldError(f"{INDEX_NAME} does not use every slot")
    if (index["crc"][slots == ZERO_SLOT] != ZERO_PAGE_CRC).any():
        raise FieldError(f"{INDEX_NAME} has a zero page with the sum of another")
    return index


def to_page_set(index: Index, slots: Bytes) -> PageSet:
    """Join an index with its slots, shape (k, 4096); no page is copied."""
    zero = index["slot"] == ZERO_SLOT
    rows = np.where(zero, -1, index["slot"].astype(np.intp))
    return PageSet.stored(np.ascontiguousarray(index["number"], np.uint64), rows, slots)


def _owners(pages: PageSet, holding: Positions, sums: npt.NDArray[np.uint32]) -> Positions:
    """For each page that holds something, the first page with the very same bytes, shape (k,)."""
    own = np.arange(len(holding), dtype=np.intp)
    _, first, group = np.unique(sums, return_index=True, return_inverse=True)
    owner: Positions = first[group].astype(np.intp)
    likely = np.flatnonzero(owner != own)
    for start in range(0, len(likely), _CHUNK_PAGES):
        some = likely[start : start + _CHUNK_PAGES]
        same = pages.take(holding[some]) == pages.take(holding[owner[some]])
        # Equal sums are no proof: pages that only collide keep slots of their own.
        unlike = some[~same.all(axis=1)]
        owner[unlike] = unlike
    return owner
