"""What the reports of labelled measurements share: cells, environment, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.markdown import fact_table
from experiments.measurements import Measurements
from experiments.summary import FEWEST, summarise

TCG_NOTE = (
    "**QEMU emulates the guest's processor here (TCG)**: what runs inside the guest is an order of "
    "magnitude slower than on hardware. Compare ratios, not milliseconds."
)


def title(record: Measurements, text: str) -> str:
    """Return the report's heading, which says what ran the guest."""
    return f"# {text} ({record.environment['accelerator'].upper()})"


def notes(record: Measurements, text: str) -> str:
    """Return the introduction, with the warning about TCG where that ran the guest."""
    return f"{text}\n\n{TCG_NOTE}" if record.environment["accelerator"] == "tcg" else text


def spread(values: Sequence[float]) -> str:
    """Return median, 10th and 90th percentile and number of samples, or that there are none.

    Of few samples the range, marked as one: they have no such percentiles.
    """
    if not values:
        return "not measured"
    summary = summarise(values)
    if summary.count == 1:
        return f"{summary.median:.4g} (n = 1)"
    if summary.count < FEWEST:
        bounds = f"range {summary.minimum:.4g} to {summary.maximum:.4g}"
        return f"{summary.median:.4g} ({bounds}, n = {summary.count})"
    return f"{summary.median:.4g} ({summary.p10:.4g} to {summary.p90:.4g}, n = {summary.count})"


def closing(record: Measurements) -> list[str]:
    """Return the last parts: the environment and, if there is any, what did not work."""
    parts = [
        "## Environment",
        fact_table(record.environment),
    ]
    if record.unavailable:
        lines = [f"- {name}: {reason}" for name, reason in record.unavailable.items()]
        parts += ["## What is missing", "\n".join(lines)]
    return parts
