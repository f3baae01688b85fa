"""The comparison of two runs: changes are found, noise is not."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import numpy as np
import pytest

from experiments import comparison
from experiments.comparison import ComparisonError, compare_series
from experiments.recording import Recording


def noise(seed: int, scale: float = 1.0, count: int = 30) -> list[float]:
    """Latencies as they are: skewed, and never below a bound."""
    samples = scale * (10 + np.random.default_rng(seed).exponential(1.0, count))
    return [float(sample) for sample in samples]


def test_noise_is_no_change() -> None:
    found = {("e", f"series {n}"): (noise(2 * n), noise(2 * n + 1)) for n in range(40)}
    assert not any(change.real for change in compare_series(found).changes)


def test_a_change_is_found_among_noise() -> None:
    found = {("e", f"series {n}"): (noise(2 * n), noise(2 * n + 1)) for n in range(20)}
    found["e", "slower"] = noise(100), noise(101, 1.5)
    found["e", "a little"] = noise(102, 1.0, 2000), noise(102, 1.01, 2000)
    made = compare_series(found)
    assert [change.series for change in made.changes if change.real] == ["slower"]
    text = comparison.render(made, "a", "b")
    assert "22 series compared, 1 changed" in text and "| e | slower | 1.5" in text


def test_few_samples_are_not_judged() -> None:
    made = compare_series({("e", "few"): ([1.0, 2.0], [5.0] * 9), ("e", "zero"): ([0.0] * 9,) * 2})
    assert not made.changes
    assert "2 and 9 samples" in made.passed_over["e: few"]
    assert "zero" in made.passed_over["e: zero"]
    assert made.shift is None and "Not judged" in comparison.render(made, "a", "b")


def test_folders(recording: Recording, tmp_path: pathlib.Path) -> None:
    for name, factor in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        samples = [
            replace(each, latency_ms=each.latency_ms * factor, round=each.round + 100 * number)
            for number in range(3)
            for each in recording.samples
            if each.latency_ms is not None
        ]
        replace(recording, samples=samples).save(tmp_path / name)
    made = comparison.compare(tmp_path / "a", tmp_path / "b")
    assert made.shift == pytest.approx(2.0)
    assert all(change.ratio.value == pytest.approx(2.0) for change in made.changes)
    with pytest.raises(ComparisonError, match="no experiment in common"):
        comparison.compare(tmp_path / "a", tmp_path)
    (tmp_path / "b" / "latency.json").write_text("{}")
    with pytest.raises(ComparisonError, match=r"latency\.json is not readable"):
        comparison.compare(tmp_path / "a", tmp_path / "b")
