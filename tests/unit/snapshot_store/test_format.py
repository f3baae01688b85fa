"""The index and the page file."""

from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_store import PAGE_SIZE, PageSet
from snapshot_store.commit import planned
from snapshot_store.format import INDEX_RECORD, ZERO_SLOT, lay_out, parse_index, to_page_set
from snapshot_store.manifest import FieldError
from tests.unit.snapshot_store.drafts import as_dict, base_draft, page_set

# The generator of CRC-32, as the bits of a page see it: adding a multiple changes no sum.
CRC_GENERATOR = 0x1DB710641


def laid_out_and_read(pages: PageSet) -> PageSet:
    plan = planned(base_draft(pages=pages), 0)
    layout, manifest = plan.layout, plan.manifest
    return to_page_set(parse_index(layout.index.tobytes(), manifest), pages.take(layout.stored))


@given(st.dictionaries(st.integers(0, 79), st.integers(0, 6)))
def test_round_trip_stores_each_page_once_and_no_zero_page(contents: dict[int, int]) -> None:
    pages = page_set(contents)
    read = laid_out_and_read(pages)
    assert as_dict(read) == as_dict(pages)
    assert read.zero.tolist() == [contents[number] == 0 for number in sorted(contents)]
    assert len(lay_out(pages).stored) == len(set(contents.values()) - {0})


def test_index_record_is_as_documented() -> None:
    pages = page_set({5: 0, 70: 3})
    raw = lay_out(pages).index.tobytes()
    zero_crc, page_crc = crc32(bytes(PAGE_SIZE)), crc32(pages.data[1].tobytes())
    assert raw == b"".join(
        part.to_bytes(size, "little")
        for part, size in ((5, 8), (0xFFFFFFFF, 4), (zero_crc, 4), (70, 8), (0, 4), (page_crc, 4))
    )


def test_pages_whose_sums_collide_keep_their_own_slots() -> None:
    data = np.stack([page_set({0: 1}).data[0]] * 3)
    generator = np.frombuffer(CRC_GENERATOR.to_bytes(8, "little"), np.uint8)
    data[1, 100:108] ^= generator
    assert crc32(data[0].tobytes()) == crc32(data[1].tobytes())
    pages = PageSet([1, 2, 3], data)
    assert lay_out(pages).stored.tolist() == [0, 1]
    assert as_dict(laid_out_and_read(pages)) == as_dict(pages)


@pytest.mark.parametrize(
    ("record", "field", "value", "message"),
    [
        (1, "number", 1, "ascending"),
        (0, "number", 80, "ascending"),
        (3, "number", 80, "page 80, which lies outside"),
        (3, "number", 2**64 - 1, "outside"),
        (0, "slot", 2, "slot 2 of 2"),
        (0, "slot", 1, "every slot"),
        (0, "slot", ZERO_SLOT, "every slot"),
        (2, "crc", 0, "zero page"),
    ],
)
def test_index_that_lies_is_refused(record: int, field: str, value: int, message: str) -> None:
    pages = page_set({1: 1, 2: 2, 3: 0, 79: 2})
    plan = planned(base_draft(pages=pages), 0)
    layout, manifest = plan.layout, plan.manifest
    index = layout.index.copy()
    index[field][record] = value
    with pytest.raises(FieldError, match=message):
        parse_index(index.tobytes(), manifest)


def test_index_of_another_length_is_refused() -> None:
    pages = page_set({1: 1})
    plan = planned(base_draft(pages=pages), 0)
    layout, manifest = plan.layout, plan.manifest
    for raw in (b"", layout.index.tobytes()[:-1], layout.index.tobytes() * 2):
        with pytest.raises(FieldError, match="bytes"):
            parse_index(raw, manifest)
    longer = replace(manifest, page_count=2)
    with pytest.raises(FieldError, match="bytes"):
        parse_index(np.zeros(1, INDEX_RECORD).tobytes(), longer)
