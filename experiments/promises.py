"""Promises with their verdicts, as every report shows them."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.markdown import table
from experiments.requirements import Check

_VERDICTS = {True: "pass", False: "**FAIL**", None: "not measured"}


def promises(checks: Sequence[Check]) -> str:
    """Return a table of what was promised, what was measured, and whether that is within it."""
    rows = [
        (
            item.promise,
            f"at most {item.limit:g} {item.unit}",
            "-" if item.value is None else f"{item.value:.4g} {item.unit}",
            _VERDICTS[item.passed],
            item.detail,
        )
        for item in checks
    ]
    return table(("promise", "limit", "measured", "verdict", "how"), rows)
