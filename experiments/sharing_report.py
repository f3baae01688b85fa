"""sharing.md of the sharing experiment: pages along the lineage, memory, faults by kind."""

from __future__ import annotations

import numpy as np

from experiments.markdown import table
from experiments.measurements import Measurements
from experiments.measurements_report import closing, notes, spread, title
from experiments.promises import Check, promises
from experiments.sharing import FAULTS
from snapshot_store import PAGE_SIZE

LEVELS = ("base", "function", "argument")
PATHS = ("idle", "cold", "warm", "hot", "resumed")


def check(record: Measurements) -> list[Check]:
    """Judge: what is inherited is not copied, and no invocation ends in a protection fault."""
    base = record.values("own pages", level="base")
    functions = record.labels("function", "memory of functions")
    found = []
    for function in functions:
        used = _largest(record, function)
        value = None
        detail = ""
        if used is not None and base:
            count, megabytes = used
            copies = count * float(np.median(base)) * PAGE_SIZE / 1e6
            value = megabytes / copies
            detail = f"{megabytes:.1f} MB for {count} functions; as copies {copies:.0f} MB"
        found.append(
            Check(f"memory of {function} functions / full copies", 0.1, "x", value, detail)
        )
    faults = record.values("faults", kind="protection")
    most = max(faults) if faults else None
    return [*found, Check("protection faults of a right invocation", 0.0, "faults", most)]


def render(record: Measurements) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    return (
        "\n\n".join(
            (
                title(record, "Pages shared along the lineage"),
                notes(
                    record,
                    "One node (uc isolation), by the kernel's own counters. A snapshot owns the "
                    "pages in which it differs from its parent and inherits all others. Faults are "
                    "those of one context: `idle` was deployed and waits; cold was deployed from "
                    "the base, imported the function and ran; warm was deployed from the "
                    "function's snapshot and ran; hot is a second request to the warm one, its "
                    "faults alone; resumed went on from the snapshot point. `point` is a function "
                    "with one. The papers give no such figures.",
                ),
                "## Promises",
                promises(check(record)),
                "## Pages of 4 KiB that each level owns",
                _lineage(record),
                "## Memory by number of functions (MB, by free frames)",
                _memory(record),
                "## Page faults of one invocation, by kind (median, 10 to 90 %)",
                _faults(record),
                "## Frames of one context",
                _frames(record),
                *closing(record),
            )
        )
        + "\n"
    )


def _lineage(record: Measurements) -> str:
    rows = []
    for function in record.labels("function", "own pages"):
        own = [record.values("own pages", function=function, level=each) for each in LEVELS]
        whole = sum(float(np.median(values)) for values in own if values)
        inherited = whole - float(np.median([each for each in own if each][-1]))
        cells = [spread(values) if values else "-" for values in own]
        rows.append((function, *cells, f"{inherited / whole:.2%}"))
    return table(("function", *LEVELS, "inherited by the last"), rows)


def _memory(record: Measurements) -> str:
    rows = []
    for sample in record.samples:
        if sample.metric == "memory of functions":
            count = int(sample.labels["functions"])
            each = sample.value / count * 1000
            function = sample.labels["function"]
            rows.append((function, str(count), f"{sample.value:.2f}", f"{each:.0f}"))
    return table(("function", "functions", "MB", "kB each"), rows)


def _largest(record: Measurements, function: str) -> tuple[int, float] | None:
    points = [
        (int(sample.labels["functions"]), sample.value)
        for sample in record.samples
        if sample.metric == "memory of functions" and sample.labels["function"] == function
    ]
    return max(points) if points else None


def _faults(record: Measurements) -> str:
    rows = []
    for function in record.labels("function", "faults"):
        for path in PATHS:
            found = [
                record.values("faults", function=function, path=path, kind=kind) for kind in FAULTS
            ]
            if all(found):
                rows.append((function, path, *(_short(values) for values in found)))
    return table(("function", "path", *(kind.replace("_", " ") for kind in FAULTS)), rows)


def _frames(record: Measurements) -> str:
    rows = []
    for function in record.labels("function", "context"):
        for path in PATHS:
            owned = record.values("context", function=function, path=path, kind="owned_frames")
            tables = record.values("context", function=function, path=path, kind="tables")
            if owned:
                rows.append((function, path, _short(owned), _short(tables)))
    return table(("function", "path", "frames owned", "of page tables"), rows)


def _short(values: list[float]) -> str:
    low, median, high = np.percentile(values, [10, 50, 90])
    return f"{median:g}" if low == high else f"{median:g} ({low:g} to {high:g})"
