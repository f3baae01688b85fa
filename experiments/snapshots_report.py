"""snapshots.md of the snapshots experiment: our figures, and the paper's Table 1 beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments import papers
from experiments.markdown import table
from experiments.measurements import Measurements
from experiments.measurements_report import closing, notes, spread, title
from experiments.promises import Check, promises
from experiments.snapshots import STEPS, Kind, kinds
from orchestrator.anticipation import Anticipation

LEVELS = ("base", "function", "argument")
SIZES = ("stored pages", "stored state")
TIMES = ("capture", "restore")
GUEST_TIMES = ("capture, guest", "restore, guest")
LARGE = "python"
"""The runtime whose base is of the paper's kind: an interpreter with its library in memory."""
SMALL = "js"
"""The runtime made small, whose snapshots have limits of their own."""
LARGEST_MB = {("vm", "base"): 4.0, ("vm", "function"): 0.3, ("uc", "function"): 0.3}
"""What a snapshot of `SMALL` may take; in uc isolation a base is less than a machine."""
_PAPER = (
    ("base snapshot size (Node.js; with AO)", "base", "AO"),
    ("base snapshot size (Node.js; before AO)", "base", "no AO"),
    ("NOP function snapshot size (with AO)", "function", "AO"),
    ("NOP function snapshot size (before AO)", "function", "no AO"),
)
PROMISED = (
    "A function's snapshot is to be smaller with each step of AO than without, and, where the base "
    "is of the paper's kind, a small part of it (the paper: 2 MB of 109). That is Python's, which "
    "has its library in memory. JavaScript's base is made small instead, so a ratio to it would "
    "reward a larger base: its limits are 4 MB for the base of a machine, kernel and program "
    "included, and 0.3 MB for the function. AO can save little of a NOP there: the engine sets up "
    "next to nothing at first use, and most of what a load writes to are counts of references. "
    "What AO leaves free between blocks in use is filled up, else NOP's few objects would dirty "
    "pages all over the heap, and AO would make its snapshot larger."
)
"""What the promises are, and why they differ by runtime."""


def check(record: Measurements) -> list[Check]:
    """Judge the shape: each step of AO makes the function's snapshot smaller; deltas are small."""
    found = []
    for kind in kinds():
        if kind.ao is Anticipation.NONE:
            continue
        delta = _stored(record, kind, "function")
        plain = _stored(record, replace(kind, ao=Anticipation.NONE), "function")
        where = f"{kind.isolation}, {kind.runtime}"
        step = STEPS[kind.ao]
        found.append(
            Check(
                f"NOP snapshot with {step} / without ({where})",
                *(1.0, "x", _ratio(delta, plain), _sizes(delta, plain)),
            )
        )
        if kind.ao is not Anticipation.FULL:
            continue
        if kind.runtime == LARGE:
            base = _stored(record, kind, "base")
            found.append(
                Check(
                    f"NOP snapshot / base ({where})",
                    *(0.1, "x", _ratio(delta, base), _sizes(delta, base)),
                )
            )
        elif kind.runtime == SMALL:
            found += [
                Check(f"{level} snapshot ({where})", limit, "MB", _median(record, kind, level))
                for (isolation, level), limit in LARGEST_MB.items()
                if isolation == kind.isolation
            ]
    return found


def render(record: Measurements) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    return (
        "\n\n".join(
            (
                title(record, "Snapshots by level"),
                notes(
                    record,
                    "What a snapshot at each level of the lineage takes in the store, and how long "
                    "its capture and a restore take. `vm`: a machine is captured from outside "
                    "through QEMU; restored into one that is started already. `uc`: the kernel in "
                    "the node captures a context, and deploys one; the time is the caller's, with "
                    "the way there and back, and the guest's own beside it. The function is NOP; "
                    "argument snapshots are of a function that computes 1,000 turns before its "
                    "point. Of a uc capture at a point only the guest's time is known. The base is "
                    "captured whole, in fewer rounds: it must be booted for it. AO comes in the "
                    "paper's steps: none; network, which is a first connection, buffers and a name "
                    "looked up over the context's loopback; and that with the interpreter. Pages "
                    "that were written to and are as in the parent again are not stored.",
                ),
                "## Promises",
                PROMISED,
                promises(check(record)),
                "## Sizes in the store (MB)",
                _table(record, SIZES),
                "## Capture and restore (ms; median, 10 to 90 %)",
                _table(record, TIMES),
                "## The guest's own part in uc isolation (us)",
                _table(record, GUEST_TIMES),
                "## Beside the paper (Table 1, AO table)",
                "The paper's base is Node.js on Rumprun and EbbRT. Sizes compare in order of "
                "magnitude only; `status` says how sure the paper's figure is.",
                _papers(record),
                *closing(record),
            )
        )
        + "\n"
    )


def _table(record: Measurements, metrics: tuple[str, ...]) -> str:
    rows = []
    for kind in kinds():
        for level in LEVELS:
            values = [record.values(metric, level=level, **kind.labels) for metric in metrics]
            if any(values):
                cells = [spread(each) if each else "-" for each in values]
                rows.append((kind.name, level, *cells))
    return table(("isolation, runtime, AO", "level", *metrics), rows)


def _papers(record: Measurements) -> str:
    rows = []
    for metric, level, ao in _PAPER:
        figure = papers.find("Table 1", metric)
        for kind in kinds():
            if STEPS[kind.ao] != ao:
                continue
            ours = _stored(record, kind, level)
            rows.append(_beside(figure, kind, ours))
    head = ("figure (paper's)", "ours", "our figure", "paper", "ours / paper", "status")
    return table(head, rows)


def _beside(figure: papers.PaperFigure, kind: Kind, ours: list[float]) -> tuple[str, ...]:
    return (
        figure.metric,
        kind.name,
        f"{np.median(ours):.2f} MB" if ours else "not measured",
        f"{figure.value} {figure.unit}",
        f"{np.median(ours) / figure.number:.3g}" if ours else "-",
        figure.status,
    )


def _stored(record: Measurements, kind: Kind, level: str) -> list[float]:
    return record.values("stored pages", level=level, **kind.labels)


def _median(record: Measurements, kind: Kind, level: str) -> float | None:
    values = _stored(record, kind, level)
    return float(np.median(values)) if values else None


def _ratio(above: list[float], below: list[float]) -> float | None:
    if not above or not below or not np.median(below) > 0:
        return None
    return float(np.median(above) / np.median(below))


def _sizes(above: list[float], below: list[float]) -> str:
    if not above or not below:
        return ""
    return f"{np.median(above):.3g} MB / {np.median(below):.3g} MB"
