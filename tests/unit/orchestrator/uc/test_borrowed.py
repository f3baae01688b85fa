"""When a node gives pages of the shared region back."""

from __future__ import annotations

import pytest

from orchestrator.uc.borrowed import BorrowedPages


@pytest.fixture
def given() -> list[str]:
    return []


@pytest.fixture
def borrowed(given: list[str]) -> BorrowedPages:
    """A base and a function of the store, 1 and 2, and 3 captured from a context of 2."""
    made = BorrowedPages(given.append)
    for number, parent in ((1, 0), (2, 1), (3, 2)):
        made.made(number, parent)
    made.borrow(1, "base")
    made.borrow(2, "function")
    return made


def test_nothing_goes_while_it_can_be_deployed(borrowed: BorrowedPages, given: list[str]) -> None:
    assert not borrowed.waiting
    borrowed.settle({0}, borrowed.gone)
    assert given == []


def test_pages_stay_for_contexts_and_descendants(borrowed: BorrowedPages, given: list[str]) -> None:
    borrowed.evicted(2)
    assert borrowed.waiting
    borrowed.settle({1}, borrowed.gone)  # 3 builds on it
    borrowed.evicted(3)
    borrowed.settle({3}, borrowed.gone)  # a context of 3 is left
    borrowed.settle({2, 0}, borrowed.gone)
    assert given == []
    borrowed.settle({1, 0}, borrowed.gone)
    assert given == ["function"] and not borrowed.waiting


def test_a_context_of_unknown_origin_may_use_anything(
    borrowed: BorrowedPages, given: list[str]
) -> None:
    borrowed.evicted(2)
    borrowed.evicted(3)
    borrowed.settle({9}, borrowed.gone)
    assert given == []


def test_all_goes_with_the_node(borrowed: BorrowedPages, given: list[str]) -> None:
    borrowed.hold("refused")
    borrowed.close()
    borrowed.close()
    assert sorted(given) == ["base", "function", "refused"]


def test_what_is_evicted_during_the_look_stays(borrowed: BorrowedPages, given: list[str]) -> None:
    borrowed.evicted(3)
    gone = borrowed.gone
    # Until now a context could be deployed from it, and the look may have missed that one.
    borrowed.evicted(2)
    borrowed.settle({1}, gone)
    assert given == []
    borrowed.settle({1}, borrowed.gone)
    assert given == ["function"]
