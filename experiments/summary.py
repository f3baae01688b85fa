"""Statistics of samples: order statistics, and ratios of medians with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST = 6
"""Samples that a median needs for an interval at `CONFIDENCE`: that from the least of five to the
greatest holds it in 15 of 16 cases only."""


@dataclass(frozen=True)
class Summary:
    """Order statistics of samples, in the samples' unit."""

    count: int
    median: float
    p10: float
    p90: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, and how far it may be off.

    The bounds are those of its bootstrap interval at `CONFIDENCE`. With fewer than `FEWEST` samples
    on a side, they are the smallest and the greatest ratio of two samples.
    """

    value: float
    low: float
    high: float
    count: int
    """Samples of the side that has fewer."""

    @property
    def told(self) -> str:
        """The bounds in words."""
        what = "95 % interval" if self.count >= FEWEST else f"range (n = {self.count})"
        return f"{what} {self.low:.3g} to {self.high:.3g}"


def summarise(samples: Sequence[float]) -> Summary:
    """Summarise samples (at least one; ValueError for none)."""
    if not samples:
        raise ValueError("there is no sample to summarise")
    values = np.asarray(samples, dtype=np.float64)
    p10, median, p90 = np.percentile(values, [10, 50, 90])
    return Summary(
        count=len(values),
        median=float(median),
        p10=float(p10),
        p90=float(p90),
        minimum=float(values.min()),
        maximum=float(values.max()),
    )


def ratio_of_medians(above: Sequence[float], below: Sequence[float], seed: int = 0) -> Ratio:
    """Return median(above) / median(below) with a percentile-bootstrap interval or a range.

    Both need at least one sample and `below` a median above 0 (ValueError). The two sides are
    resampled independently; `seed` makes the interval reproducible.
    """
    if not above or not below or np.median(below) <= 0:
        raise ValueError("a ratio of medians needs samples on both sides, and a divisor above 0")
    value = float(np.median(above) / np.median(below))
    count = min(len(above), len(below))
    if count < FEWEST:
        least, most = max(min(below), np.finfo(float).tiny), max(below)
        return Ratio(value, float(min(above) / most), float(max(above) / least), count)
    generator = np.random.default_rng(seed)
    tops = _resampled_medians(generator, above)
    bottoms = _resampled_medians(generator, below)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(tops / np.maximum(bottoms, np.finfo(float).tiny), [tail, 100 - tail])
    return Ratio(value, float(low), float(high), count)


def _resampled_medians(
    generator: np.random.Generator, samples: Sequence[float]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = np.asarray(samples, dtype=np.float64)
    picks = generator.integers(0, len(values), size=(RESAMPLES, len(values)))
    medians: np.ndarray[tuple[int], np.dtype[np.float64]] = np.median(values[picks], axis=1)
    return medians
