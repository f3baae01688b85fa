"""Series for comparisons: their samples are independent of each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments import series
from experiments.burst import Burst, Timeline
from experiments.burst_calls import Outcome, Scale
from experiments.comparison import compare_series
from experiments.density import Density
from experiments.recording import Recording


def test_deploys_back_to_back_are_few_samples() -> None:
    """Two runs of the same thing, in each of which a slow drift spoils the samples alike."""
    runs = []
    for seed in (1, 2):
        noise = np.random.default_rng(seed)
        drift = np.cumsum(noise.normal(0, 30, 4000))
        times = [int(each) for each in 20_000 + drift + noise.normal(0, 100, 4000)]
        runs.append(series.of_density(Density({}, 1, 1024, deploy_ns=times)))
    (name,) = runs[0]
    assert len(runs[0][name]) == series.BATCHES
    raw = compare_series({("density", name): (runs[0][name], runs[1][name])})
    assert raw.changes[0].first == series.BATCHES
    assert series.batches([3.0, 1.0]) == [3.0, 1.0]


def test_calls_of_one_burst_are_one_sample() -> None:
    scale = Scale((4.0,), 2, 3, 3, 1.0, 2, 2.0, 2.0, 8.0, 512)
    bursts = [
        Outcome(2.0 + 4.0 * burst, "cpu", burst, 100.0 * (burst + 1) + call, "cold", None)
        for burst in range(2)
        for call in range(3)
    ]
    late = replace(bursts[-1], latency_ms=8000.0, error="no answer within 8 s")
    background = [Outcome(float(at), "io", None, 10.0 + at, "hot", None) for at in range(10)]
    record = Burst({}, 1, scale, 512, timelines=[Timeline("seuss", 4.0, [*bursts, late])])
    found = series.of_burst(record)
    # The failed call is in the second burst's median.
    assert found == {
        "seuss, burst, cpu, bursts of 3 and 3 calls each, medians (ms)": [
            101.0,
            pytest.approx(201.5),
        ]
    }
    record.timelines = [Timeline("seuss", 4.0, background)]
    assert series.of_burst(record) == {
        "seuss, background, io, bursts of 3 and 3 calls each, medians (ms)": [10.5, 13.5, 17.5],
    }


def test_calls_of_one_round_are_one_sample(recording: Recording) -> None:
    twice = replace(recording, samples=recording.samples * 2)
    assert series.of_latency(twice) == series.of_latency(recording)
