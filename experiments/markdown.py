"""Tables in Markdown, for the experiments' reports."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with that head; cells may hold any text."""
    lines = [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(value) for value in values) + " |"


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def fact_table(facts: Mapping[str, object]) -> str:
    """Return a row for each fact of a run; `started` is in seconds since 1970."""
    said = {name: str(value) for name, value in facts.items()}
    if isinstance(started := facts.get("started"), int | float):
        said["started"] = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(started))
    return table(("fact", "value"), said.items())
