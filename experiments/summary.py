"""Statistics of samples: order statistics, and ratios of medians with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


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
    """A ratio of two medians, with the bounds of its bootstrap interval at `CONFIDENCE`."""

    value: float
    low: float
    high: float


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
    """Return median(above) / median(below) with a percentile-bootstrap interval.

    Both need at least one sample and `below` a median above 0 (ValueError). The two sides are
    resampled independently; `seed` makes the interval reproducible.
    """
    if not above or not below or np.median(below) <= 0:
        raise ValueError("a ratio of medians needs samples on both sides, and a divisor above 0")
    generator = np.random.default_rng(seed)
    tops = _resampled_medians(generator, above)
    bottoms = _resampled_medians(generator, below)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(tops / np.maximum(bottoms, np.finfo(float).tiny), [tail, 100 - tail])
    return Ratio(float(np.median(above) / np.median(below)), float(low), float(high))


def _resampled_medians(
    generator: np.random.Generator, samples: Sequence[float]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = np.asarray(samples, dtype=np.float64)
    picks = generator.integers(0, len(values), size=(RESAMPLES, len(values)))
    medians: np.ndarray[tuple[int], np.dtype[np.float64]] = np.median(values[picks], axis=1)
    return medians
