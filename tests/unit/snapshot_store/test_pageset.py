"""Page sets against a plain dictionary of pages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_store import PAGE_SIZE, InvalidDraftError, PageSet
from tests.unit.snapshot_store.drafts import as_dict, page_set

CONTENTS = st.dictionaries(st.integers(0, 40), st.integers(0, 5), max_size=20)


def stored(contents: dict[int, int]) -> PageSet:
    """The same set as `page_set`, but placed in a source that holds each page once."""
    seeds = sorted({seed for seed in contents.values() if seed}, reverse=True)
    source = page_set(dict(enumerate(seeds))).data
    rows = [seeds.index(contents[n]) if contents[n] else -1 for n in sorted(contents)]
    numbers = np.array(sorted(contents), np.uint64)
    return PageSet.stored(numbers, np.array(rows, np.intp), source)


@given(CONTENTS)
def test_stored_set_reads_as_the_set_that_was_given(contents: dict[int, int]) -> None:
    given_set, placed = page_set(contents), stored(contents)
    assert as_dict(placed) == as_dict(given_set)
    assert placed.zero.tolist() == given_set.zero.tolist()
    assert placed.zero.tolist() == [contents[n] == 0 for n in sorted(contents)]


@given(st.lists(CONTENTS, max_size=4), st.data())
def test_merged_layers_win_from_top_to_bottom(
    layers: list[dict[int, int]], data: st.DataObject
) -> None:
    expected: dict[int, int] = {}
    for layer in layers:
        expected |= layer
    merged = PageSet.merged([data.draw(st.sampled_from([page_set, stored]))(c) for c in layers])
    assert as_dict(merged) == as_dict(page_set(expected))
    assert merged.zero.tolist() == [expected[n] == 0 for n in sorted(expected)]
    if expected:
        chosen = data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=8))
        assert (merged.take(chosen) == merged.data[np.array(chosen, np.intp)]).all()


def test_merged_sets_merge_again() -> None:
    lower = PageSet.merged([page_set({1: 1, 2: 2}), page_set({2: 3, 3: 0})])
    upper = PageSet.merged([page_set({3: 4}), page_set({1: 0})])
    assert as_dict(PageSet.merged([lower, upper])) == as_dict(page_set({1: 0, 2: 3, 3: 4}))


@given(CONTENTS, CONTENTS)
def test_changed_pages_are_those_that_differ(above: dict[int, int], below: dict[int, int]) -> None:
    changed = page_set(above).changed_from(stored(below))
    expected = {n: seed for n, seed in above.items() if below.get(n) != seed}
    assert as_dict(changed) == as_dict(page_set(expected))


def test_data_in_one_piece_is_not_copied() -> None:
    source = page_set({n: n + 1 for n in range(8)}).data
    piece = PageSet.stored(np.arange(3, dtype=np.uint64), np.array([2, 3, 4]), source)
    assert np.shares_memory(piece.data, source)
    assert (piece.data == source[2:5]).all()


@pytest.mark.parametrize(
    ("numbers", "shape", "message"),
    [
        ([2, 1], (2, PAGE_SIZE), "ascending"),
        ([1, 1], (2, PAGE_SIZE), "ascending"),
        ([-1, 1], (2, PAGE_SIZE), "negative"),
        ([1.0, 2.0], (2, PAGE_SIZE), "integers"),
        ([[1, 2]], (2, PAGE_SIZE), "integers"),
        ([1, 2], (3, PAGE_SIZE), "shape"),
        ([1, 2], (2, 512), "shape"),
    ],
)
def test_wrong_arrays_are_refused(numbers: list[int], shape: tuple[int, int], message: str) -> None:
    with pytest.raises(InvalidDraftError, match=message):
        PageSet(numbers, np.zeros(shape, np.uint8))


def test_data_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidDraftError, match="uint8"):
        PageSet([1], np.zeros((1, PAGE_SIZE), np.int16))
