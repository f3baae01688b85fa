"""Order statistics and ratios of medians."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.summary import ratio_of_medians, summarise

SAMPLES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40)


def test_known_samples() -> None:
    summary = summarise([float(value) for value in range(101)])
    assert (summary.count, summary.median, summary.p10, summary.p90) == (101, 50, 10, 90)
    assert (summary.minimum, summary.maximum) == (0, 100)


@given(SAMPLES)
def test_statistics_are_in_order(samples: list[float]) -> None:
    summary = summarise(samples)
    ordered = [summary.minimum, summary.p10, summary.median, summary.p90, summary.maximum]
    assert ordered == sorted(ordered)


@given(SAMPLES, st.floats(0.01, 100))
def test_ratio_of_scaled_samples(samples: list[float], factor: float) -> None:
    ratio = ratio_of_medians([factor * value for value in samples], samples)
    assert ratio.value == pytest.approx(factor)
    assert ratio.low <= ratio.high


def test_interval_holds_the_ratio_and_shrinks_with_samples() -> None:
    few = ratio_of_medians([9.0, 10.0, 11.0], [1.0, 1.1, 0.9])
    many = ratio_of_medians([9.0, 10.0, 11.0] * 30, [1.0, 1.1, 0.9] * 30)
    assert few.low <= 10 <= few.high
    assert many.high - many.low < few.high - few.low


def test_few_samples_have_a_range_and_no_interval() -> None:
    few = ratio_of_medians([8.0, 12.0], [2.0, 4.0])
    assert few.value == pytest.approx(10 / 3)
    assert (few.low, few.high) == (2, 6)
    assert few.told == "range (n = 2) 2 to 6"
    assert ratio_of_medians([1.0] * 6, [1.0] * 9).told == "95 % interval 1 to 1"
    assert "range (n = 5)" in ratio_of_medians([1.0] * 6, [1.0] * 5).told


def test_interval_is_reproducible() -> None:
    above, below = [3.0, 5.0, 4.0], [1.0, 2.0]
    assert ratio_of_medians(above, below, seed=1) == ratio_of_medians(above, below, seed=1)


def test_nothing_to_work_on() -> None:
    with pytest.raises(ValueError, match="no sample"):
        summarise([])
    with pytest.raises(ValueError, match="both sides"):
        ratio_of_medians([1.0], [])
    with pytest.raises(ValueError, match="above 0"):
        ratio_of_medians([1.0], [0.0])
