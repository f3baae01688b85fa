"""dirty-tracking.md: sets, whose they are, overlaps, times, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from experiments import dirty_sets
from experiments.dirty_record import BITMAP, BYTES, PAGEMAP, WALK, WAYS, DirtyTracking, Sample
from experiments.markdown import fact_table, table
from experiments.promises import Check, promises
from experiments.workloads import WORKLOADS

TITLES = {each.name: each.title for each in WORKLOADS}
WAY_TITLES = {
    WALK: "page-table walk in the guest",
    BITMAP: "QEMU's migration bitmap",
    PAGEMAP: "host's pagemap: copied pages",
    "soft-dirty": "host's pagemap: soft-dirty",
    BYTES: "byte diff of memory",
}
KIND_TITLES = ("context's pages", "its page tables", "kernel", "rest")
TIMES = {
    WALK: "CAPTURE by the guest's clock, the first in a restored machine",
    "walk again": "the same a second time in that machine",
    "export": "EXPORT of the page numbers, seen from the host",
    "bitmap arm": "arming it: a pass over all of memory, before the function comes",
    BITMAP: "collecting: rest of the stream with its pages and the devices' state, comparison",
    PAGEMAP: "reading the entries of all of memory",
    "soft-dirty": "reading the entries of all of memory",
    BYTES: "dump of all of memory by QEMU, comparison",
}


def functions(record: DirtyTracking) -> list[str]:
    """The functions that were measured, in the order of the workloads."""
    measured = {sample.function for sample in record.good()}
    return [name for name in TITLES if name in measured]


def ways(record: DirtyTracking) -> list[str]:
    """The ways that this host can go."""
    return [way for way in WAYS if all(way in sample.sets for sample in record.good())]


def check(record: DirtyTracking) -> list[Check]:
    """Judge the record: coverage is the promise, the others tell whether to trust the figures."""

    def worst(promise: str, count: Callable[[Sample], int], detail: str) -> Check:
        values = [count(sample) for sample in record.good()]
        return Check(promise, 0.0, "frames", float(max(values)) if values else None, detail)

    def unseen(way: str) -> Callable[[Sample], int]:
        return lambda sample: len(sample.found(BYTES) - sample.found(way))

    return [
        worst(
            "context's frames in the byte diff that the walk missed",
            lambda sample: len(sample.missed()),
            f"most of {len(record.good())} samples",
        ),
        worst(
            "frames of the base snapshot that changed",
            lambda sample: len(dirty_sets.from_runs(sample.harmed)),
            "a context writes to copies only",
        ),
        worst(
            "pages the walk puts elsewhere than the page tables do",
            lambda sample: sample.strange,
            "tables read by the host from the dump",
        ),
        *(
            worst(
                f"frames in the byte diff that are not in {WAY_TITLES[way]}",
                unseen(way),
                "all of the node's memory",
            )
            for way in (BITMAP, PAGEMAP)
        ),
    ]


def render(record: DirtyTracking) -> str:
    """Return the report as Markdown. Works on an unfinished record."""
    soft_dirty = "yes" if record.soft_dirty else "not in this host's kernel"
    facts = record.environment | {"soft-dirty marks": soft_dirty}
    parts = [
        f"# What a function's import wrote, found four ways ({facts['accelerator'].upper()})",
        "Each sample is one machine, restored from the same captured node with its memory mapped "
        "privately. It imports the function in a context deployed from the base snapshot; all four "
        "ways then look at the same import. Figures are medians of "
        f"{len(record.good())} samples, sets are frames of 4 KiB.",
        "## Promises",
        promises(check(record)),
        "## Sets",
        "Whose a frame is: the context's page tables, read by the host from the dump, say which "
        "pages and tables are its; `kernel` is the kernel's image, stacks and per-core memory; "
        "`rest` is its heap, its rings for the console, and frames used in between and given back. "
        "The walk finds nothing but the context's pages. Bitmap and pagemap also hold what was "
        "written with the bytes it had, and tables where the processor only marked an access.",
        _sets(record),
        "Frames of the kernel's image that contexts see read-only and that changed (the page of "
        f"the clock): {_median(_count(sample.lent) for sample in record.good())}. They are the "
        "kernel's, no context's, and no snapshot holds them.",
        "## Overlaps",
        _overlaps(record),
        "## Milliseconds",
        _times(record),
        "The walk looks at what the context wrote and at nothing else. Bitmap, "
        "pagemap and byte diff look at all of the node's memory, whatever one context "
        "wrote, and must stop the node for a sharp set.",
        "## Environment",
        fact_table(facts),
    ]
    failed = [sample for sample in record.samples if sample.error is not None]
    if failed:
        lines = [f"- {each.function}, round {each.round}: {each.error}" for each in failed]
        parts += ["## What did not work", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _sets(record: DirtyTracking) -> str:
    rows = []
    for function in functions(record):
        samples = record.good(function)
        for way in ways(record):
            split = [sample.owners().split(sample.found(way)) for sample in samples]
            kinds = (_median(each[kind] for each in split) for kind in dirty_sets.KINDS)
            whole = _median(len(sample.found(way)) for sample in samples)
            rows.append((TITLES[function], WAY_TITLES[way], whole, *kinds))
    return table(("function", "found by", "frames", *KIND_TITLES), rows)


def _overlaps(record: DirtyTracking) -> str:
    rows = []
    for function in functions(record):
        counts = [
            dirty_sets.overlaps({way: sample.found(way) for way in ways(record)})
            for sample in record.good(function)
        ]
        for pair in counts[0]:
            rows.append((TITLES[function], pair, _median(each[pair] for each in counts)))
    return table(("function", "both", "frames"), rows)


def _times(record: DirtyTracking) -> str:
    rows = []
    for function in functions(record):
        samples = record.good(function)
        for name, meaning in TIMES.items():
            values = [each.times_ms[name] for each in samples if name in each.times_ms]
            if values:
                rows.append((TITLES[function], name, f"{np.median(values):.3g}", meaning))
    return table(("function", "time", "median ms", "what is timed"), rows)


def _count(runs: dirty_sets.Runs) -> int:
    return len(dirty_sets.from_runs(runs))


def _median(values: Iterable[int]) -> str:
    known = list(values)
    return f"{np.median(known):g}" if known else "-"
