"""Which function snapshots stay in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.vm.tails import Tail, Tails

LIMIT = 10


def test_last_used_stay() -> None:
    tails = Tails(LIMIT)
    first, second, third = (Tail(name, bytes(4)) for name in "abc")
    tails.keep("first", first)
    tails.keep("second", second)
    assert tails.get("first") is first
    tails.keep("third", third)
    assert tails.get("second") is None
    assert tails.get("first") is first and tails.get("third") is third


def test_newer_replaces_and_dropped_is_gone() -> None:
    tails = Tails(LIMIT)
    for size in (9, 8, 7):
        tails.keep("function", Tail(str(size), bytes(size)))
    kept = tails.get("function")
    assert kept is not None and kept.snapshot == "7"
    tails.drop("function")
    tails.drop("function")
    assert tails.get("function") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, LIMIT + 2), st.booleans())))
def test_never_more_than_the_limit(steps: list[tuple[int, int, bool]]) -> None:
    tails = Tails(LIMIT)
    for function, size, dropped in steps:
        if dropped:
            tails.drop(str(function))
        else:
            tails.keep(str(function), Tail("", bytes(size)))
            assert (tails.get(str(function)) is not None) == (size <= LIMIT)
        kept = [tails.get(str(each)) for each in range(6)]
        assert sum(len(tail.stream) for tail in kept if tail is not None) <= LIMIT
