"""What a node keeps: bounds, and the order in which things go."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.uc.cache import ArgumentSnapshots, FunctionSnapshots, IdleContexts


def test_the_context_used_last_serves_next() -> None:
    idle = IdleContexts(per_function=3, in_all=10)
    for context in (1, 2, 3):
        assert idle.add("f", context) == []
    assert idle.add("f", 4) == [1]
    assert idle.function(4) == "f" and idle.function(1) is None
    assert [idle.take("f") for _ in range(4)] == [4, 3, 2, None]


def test_the_function_unused_longest_goes_first() -> None:
    idle = IdleContexts(per_function=3, in_all=2)
    idle.add("f", 1)
    idle.add("g", 2)
    assert idle.take("f") == 1
    assert idle.add("f", 1) == []
    assert idle.add("h", 3) == [2]
    assert idle.take("g") is None


def test_a_context_that_ended_is_not_kept() -> None:
    idle = IdleContexts(per_function=3, in_all=2)
    idle.add("f", 1)
    idle.forget(1)
    idle.forget(1)
    assert idle.take("f") is None and len(idle) == 0


def test_those_unused_for_long_go() -> None:
    now = [0.0]
    idle = IdleContexts(per_function=3, in_all=9, clock=lambda: now[0])
    assert idle.longest() == 0.0
    for context in (1, 2, 3):
        idle.add("f", context)
        now[0] += 10
    idle.add("g", idle.take("f") or 0)
    assert idle.longest() == 30
    assert idle.pop_unused(20) == [1, 2] and len(idle) == 1
    assert idle.pop_unused(20) == []


@given(
    st.integers(0, 3),
    st.integers(0, 5),
    st.lists(st.tuples(st.sampled_from("fgh"), st.booleans()), max_size=40),
)
def test_bounds_hold_and_no_context_is_lost(
    per_function: int, in_all: int, steps: list[tuple[str, bool]]
) -> None:
    idle = IdleContexts(per_function, in_all)
    kept: dict[int, str] = {}
    for context, (function, take) in enumerate(steps, 1):
        if take:
            taken = idle.take(function)
            assert (taken is None) == (function not in kept.values())
            kept.pop(taken or -1, None)
        else:
            kept[context] = function
            for surplus in idle.add(function, context):
                del kept[surplus]
        assert len(idle) == len(kept) <= in_all
        assert all(count <= per_function for count in Counter(kept.values()).values())
    assert sorted(idle.pop_oldest(100)) == sorted(kept)


def test_snapshots_go_by_last_use() -> None:
    snapshots = FunctionSnapshots()
    assert [snapshots.put(name, number) for number, name in enumerate("fgh")] == [None] * 3
    assert snapshots.find("f") == 0 and snapshots.find("x") is None
    assert snapshots.put("g", 7) == 1
    snapshots.forget("g", 1)
    snapshots.forget("f", 0)
    assert snapshots.origins() == {2: "h", 7: "g"}
    assert snapshots.find("h") == 2
    assert snapshots.pop_first(lambda number: True) == ("g", 7)
    assert snapshots.pop_first(lambda number: number != 2) is None
    assert snapshots.pop_first(lambda number: number == 2) == ("h", 2)
    assert len(snapshots) == 0


def test_argument_snapshots_are_so_many_of_a_function() -> None:
    snapshots = ArgumentSnapshots(2)
    assert [snapshots.put("f", key, number) for number, key in enumerate("ab")] == [[], []]
    assert snapshots.put("g", "a", 2) == []
    assert snapshots.find("f", "a") == 0 and snapshots.find("f", "x") is None
    assert snapshots.put("f", "c", 3) == [1]
    assert snapshots.put("f", "c", 4) == [3]
    assert snapshots.holds("f", "c") and snapshots.holds("f", "c", 4)
    assert not snapshots.holds("f", "c", 3) and not snapshots.holds("f", "b")
    snapshots.forget("f", "c", 3)
    assert snapshots.origins() == {0: "f", 2: "g", 4: "f"}
    assert snapshots.pop_first(lambda number: number != 2) == 0
    assert snapshots.pop_first(lambda number: number > 2) == 4
    assert snapshots.pop_first(lambda number: number > 2) is None
    snapshots.forget("g", "a", 2)
    assert len(snapshots) == 0
