"""What a soak calls a broken promise."""

from __future__ import annotations

import pytest

from experiments.soak import MIB, Tally, judged


def tally() -> Tally:
    """A run of 10 requests that kept every promise."""
    samples = [(share / 10, 50 * MIB, 40) for share in range(11)]
    return Tally(requests=10, samples=samples, overhead_ms=[0.5, 0.6, 9.0])


def broken(seen: Tally, requests: int = 10, kept: int = 1) -> set[str]:
    return {promise for promise, well in judged(seen, requests, kept, 1).items() if not well}


def test_a_good_run_keeps_all() -> None:
    assert broken(tally()) == set()


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ({"wrong": 1}, "no wrong answer"),
        ({"failures": ["it failed"]}, "no wrong answer"),
        ({"requests": 9}, "no lost request"),
        ({"overhead_ms": [0.5, 1.1, 1.2]}, "gateway's median at most 1 ms"),
        ({"samples": [(s / 10, (50 + s) * MIB, 40) for s in range(11)]}, "memory flat"),
        ({"samples": [(s / 10, 50 * MIB, 40 + 3 * s) for s in range(11)]}, "descriptors flat"),
    ],
)
def test_each_promise_can_break(change: dict[str, object], promise: str) -> None:
    seen = tally()
    for name, value in change.items():
        setattr(seen, name, value)
    assert broken(seen) == {promise}


def test_too_many_snapshots() -> None:
    assert broken(tally(), kept=2) == {"snapshots within budget"}


def test_growth_while_caches_fill_is_none() -> None:
    seen = tally()
    seen.samples[:4] = [(share / 10, MIB, 20) for share in range(4)]
    assert broken(seen) == set()
