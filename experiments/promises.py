"""A promise with its verdict, and the table that reports show of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from experiments.markdown import table


@dataclass(frozen=True)
class Check:
    """One promise: `value` within `limit`, or with `least` not below it.

    `value` is None where the run holds nothing to judge by; `unjudged` says why a value that is
    there does not decide, such as too few samples.
    """

    promise: str
    limit: float
    unit: str
    value: float | None
    detail: str = ""
    least: bool = False
    unjudged: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the value keeps the promise; None if that is not judged."""
        if self.value is None or self.unjudged:
            return None
        return self.value >= self.limit if self.least else self.value <= self.limit

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if self.value is None:
            return "not measured"
        return {True: "pass", False: "FAIL", None: "not judged"}[self.passed]

    @property
    def bound(self) -> str:
        """The limit in words."""
        return f"at {'least' if self.least else 'most'} {self.limit:g} {self.unit}"


def promises(checks: Iterable[Check]) -> str:
    """Return the table of promises, limits, values and verdicts."""
    rows = [
        (
            item.promise,
            item.bound,
            "-" if item.value is None else f"{item.value:.4g} {item.unit}",
            "**FAIL**" if item.passed is False else item.verdict,
            "; ".join(filter(None, (item.unjudged, item.detail))),
        )
        for item in checks
    ]
    return table(("promise", "limit", "measured", "verdict", "how"), rows)
