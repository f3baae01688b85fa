"""Sets of frames, and the walk of page tables in a dump of memory."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments import dirty_sets
from experiments.dirty_sets import Entries, Owners

USER = 0b111
LARGE = 1 << 7
NO_EXECUTE = 1 << 63


@pytest.fixture
def memory() -> Entries:
    """32 frames: root 1 over tables 2, 3, 4; root 5 with the same kernel half and no user half."""
    made = np.zeros((32, 512), np.uint64)

    def point(table: int, slot: int, frame: int, flags: int = USER) -> None:
        made[table, slot] = frame << 12 | flags

    point(1, 3, 2)
    point(2, 5, 3)
    point(2, 6, 20, USER | LARGE)
    point(3, 7, 4)
    point(4, 8, 10, USER | NO_EXECUTE)
    point(4, 9, 11)
    point(4, 10, 12, USER & ~1)  # not present
    point(4, 11, 999)  # beyond memory
    for root in (1, 5):
        point(root, 500, 6)
    point(6, 0, 7)
    point(7, 0, 8)
    point(8, 1, 30)
    return made


def test_walk_follows_what_is_present(memory: Entries) -> None:
    found = dirty_sets.walk(memory, 1, dirty_sets.USER_SLOTS)
    page = ((3 * 512 + 5) * 512 + 7) * 512 + 8
    assert found.numbers.tolist() == [page, page + 1]
    assert found.frames.tolist() == [10, 11]
    assert found.tables == {1, 2, 3, 4}


def test_walk_of_the_kernel_half(memory: Entries) -> None:
    found = dirty_sets.walk(memory, 5, dirty_sets.KERNEL_SLOTS)
    assert found.frames.tolist() == [30]
    assert found.tables == {5, 6, 7, 8}
    assert dirty_sets.walk(memory, 5, dirty_sets.USER_SLOTS).frames.tolist() == []


def test_roots_have_the_kernel_half_and_a_user_half(memory: Entries) -> None:
    assert dirty_sets.roots(memory, 5) == [1]
    # The processor marks entries as used in each root by itself.
    memory[1, 500] |= np.uint64(1 << 5)
    assert dirty_sets.roots(memory, 5) == [1]
    memory[1, 501] = 9 << 12 | USER
    assert dirty_sets.roots(memory, 5) == []


def test_missed_is_what_changed_and_is_mapped_and_was_not_found() -> None:
    changed, mapped = frozenset({1, 2, 3, 9}), frozenset({1, 2, 3, 4})
    assert dirty_sets.missed(frozenset({1, 2, 3}), changed, mapped) == frozenset()
    assert dirty_sets.missed(frozenset({1, 4}), changed, mapped) == {2, 3}


def test_every_frame_is_somebodys_and_counts_once() -> None:
    owners = Owners(frozenset({1, 2}), frozenset({2, 3}), frozenset({3, 4}))
    split = owners.split(frozenset({1, 2, 3, 4, 5, 6}))
    assert split == {"pages": 2, "tables": 1, "kernel": 1, "rest": 2}


def test_overlaps_of_each_two() -> None:
    sets = {"a": frozenset({1, 2}), "b": frozenset({2, 3}), "c": frozenset({4})}
    assert dirty_sets.overlaps(sets) == {"a & b": 1, "a & c": 0, "b & c": 0}


@pytest.mark.parametrize("frames", [set(), {5}, {1, 2, 3}, {9, 1, 2, 4, 10}])
def test_runs_and_back(frames: set[int]) -> None:
    runs = dirty_sets.to_runs(frames)
    assert dirty_sets.from_runs(json.loads(json.dumps(runs))) == frames
    assert len(runs) == sum(frame - 1 not in frames for frame in frames)
