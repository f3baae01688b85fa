"""What changed between two runs beyond noise.

Each series of samples that both runs have is tested by Mann-Whitney's rank test; the p-values are
adjusted for their number (Benjamini and Hochberg's false discovery rate). A change counts when its
adjusted p-value is small and the interval of the ratio of medians leaves out small changes. All
series of a run share its machine's mood: so the median of all ratios is told as well.
"""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from experiments.experiment import EXPERIMENTS
from experiments.markdown import table
from experiments.summary import FEWEST, Ratio, ratio_of_medians
from snapshot_store.errors import SeussError

LEVEL = 0.05
"""The adjusted p-value from which on a change is noise."""
SMALL = 0.03
"""Changes of medians up to this part are passed over, however sure."""


class ComparisonError(SeussError):
    """Two runs have nothing to compare."""


@dataclass(frozen=True)
class Change:
    """One series in both runs: samples, ratio of medians B / A, adjusted p-value."""

    experiment: str
    series: str
    first: int
    second: int
    ratio: Ratio
    p: float

    @property
    def real(self) -> bool:
        """Whether it is more than noise."""
        apart = self.ratio.low > 1 + SMALL or self.ratio.high < 1 - SMALL
        return self.p < LEVEL and apart


@dataclass(frozen=True)
class Comparison:
    """All series of two runs: compared, and those that cannot be, with the reason."""

    changes: Sequence[Change]
    passed_over: Mapping[str, str]

    @property
    def shift(self) -> float | None:
        """The median of all ratios: what changed for everything alike."""
        ratios = [change.ratio.value for change in self.changes]
        return float(np.median(ratios)) if ratios else None


def compare(first: pathlib.Path, second: pathlib.Path) -> Comparison:
    """Compare two results folders.

    Raises ComparisonError when they have no experiment in common or raw data cannot be read.
    """
    found: dict[tuple[str, str], tuple[Sequence[float], Sequence[float]]] = {}
    common = 0
    for experiment in EXPERIMENTS:
        if experiment.raw(first).exists() and experiment.raw(second).exists():
            common += 1
            one, two = (_series(experiment.name, folder) for folder in (first, second))
            for name in dict.fromkeys((*one, *two)):
                found[experiment.name, name] = one.get(name, ()), two.get(name, ())
    if not common:
        raise ComparisonError(
            f"{first} and {second} have no experiment in common. Name two results folders, as "
            "`make experiments` writes them."
        )
    return compare_series(found)


def compare_series(
    found: Mapping[tuple[str, str], tuple[Sequence[float], Sequence[float]]],
) -> Comparison:
    """Compare pairs of samples by experiment and name."""
    passed_over: dict[str, str] = {}
    judged = {}
    for (experiment, name), (one, two) in found.items():
        # With fewer, the rank test can hardly ever tell.
        if min(len(one), len(two)) < FEWEST:
            reason = f"{len(one)} and {len(two)} samples, where {FEWEST} are needed on both sides"
            passed_over[f"{experiment}: {name}"] = reason
        elif not (np.median(one) > 0 and np.median(two) > 0):
            passed_over[f"{experiment}: {name}"] = "a median of zero, so that there is no ratio"
        else:
            judged[experiment, name] = one, two
    raw = [float(stats.mannwhitneyu(one, two).pvalue) for one, two in judged.values()]
    adjusted: Sequence[float] = (
        [float(p) for p in stats.false_discovery_control(raw)] if raw else []
    )
    changes = [
        Change(*key, len(one), len(two), ratio_of_medians(two, one), p)
        for (key, (one, two)), p in zip(judged.items(), adjusted, strict=True)
    ]
    return Comparison(changes, passed_over)


def render(comparison: Comparison, first: str, second: str) -> str:
    """Return what changed as Markdown, the largest change first."""
    real = sorted(
        (change for change in comparison.changes if change.real),
        key=lambda change: -abs(np.log(change.ratio.value)),
    )
    rows = [
        (
            change.experiment,
            change.series,
            f"{change.ratio.value:.3g}",
            f"{change.ratio.low:.3g} to {change.ratio.high:.3g}",
            f"{change.p:.2g}",
            f"{change.first}, {change.second}",
        )
        for change in real
    ]
    shift = comparison.shift
    parts = [
        "# What changed beyond noise",
        f"A: {first}; B: {second}. {len(comparison.changes)} series compared, {len(real)} changed, "
        f"{len(comparison.passed_over)} could not be judged. "
        + ("" if shift is None else f"Median of all ratios B / A: {shift:.3g}: ")
        + ("" if shift is None else "a change like that may be the machine's."),
    ]
    if rows:
        head = ("experiment", "series", "B / A", "95 % interval", "p, adjusted", "n")
        parts.append(table(head, rows))
    if comparison.passed_over:
        reasons = Counter(
            (name.partition(": ")[0], reason) for name, reason in comparison.passed_over.items()
        )
        lines = [
            f"- {experiment}: {count} series with {reason}"
            for (experiment, reason), count in reasons.items()
        ]
        parts += ["## Not judged", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _series(name: str, folder: pathlib.Path) -> Mapping[str, Sequence[float]]:
    experiment = next(each for each in EXPERIMENTS if each.name == name)
    try:
        return experiment.series_of(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ComparisonError(
            f"{experiment.raw(folder)} is not readable ({error}). Run the experiment again."
        ) from error
