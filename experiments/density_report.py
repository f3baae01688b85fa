"""density.md of the density experiment: our figures, the paper's beside them, and the promises."""

from __future__ import annotations

import time

import numpy as np

from experiments import papers
from experiments.density import Density
from experiments.markdown import table
from experiments.promises import Check, promises
from experiments.summary import ratio_of_medians

MEGABYTE = 1e6
PAGE_BYTES = 4096
MOST_FRAMES = 100.0


def check(record: Density) -> list[Check]:
    """Judge the record by every promise of the experiment."""
    each = record.frames_each
    wrong = float(record.asked - record.right) if record.asked else None
    return [
        Check("idle context of NOP owns", MOST_FRAMES, "frames", each, "the prototype's: 351"),
        Check(
            "deploy of a context, guest time, median",
            *(100.0, "us", float(np.median(record.deploy_ns)) / 1e3 if record.deploy_ns else None),
        ),
        _by_size(record),
        Check(
            "wrong answers of a random 1 %",
            *(0.0, "answers", wrong, f"{record.right} of {record.asked} right"),
        ),
    ]


def _by_size(record: Density) -> Check:
    promise = "deploy, 200 MB snapshot / 2 MB snapshot, guest time"
    small, large = record.sized.get("2"), record.sized.get("200")
    if not small or not large:
        return Check(promise, 1.5, "x", None, "needs a node of 1 GiB or more")
    ratio = ratio_of_medians(large, small, record.seed)
    detail = (
        f"{np.median(large) / 1e3:.0f} us / {np.median(small) / 1e3:.0f} us; "
        f"95 % interval {ratio.low:.3g} to {ratio.high:.3g}"
    )
    return Check(promise, 1.5, "x", ratio.value, detail)


def render(record: Density) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    facts = dict(record.environment)
    facts["started"] = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts["started"]))
    parts = [
        f"# Density of idle contexts ({facts['accelerator'].upper()})",
        "Contexts are deployed from NOP's function snapshot in one node until its memory is used; "
        "each has run up to where it waits for a request. Frames (4 KiB) count all that a context "
        "takes of the node: its pages, page tables and what the kernel keeps for it. The rate "
        "counts until all are idle.",
        "## Promises",
        promises(check(record)),
        "## Figures",
        _figures(record),
        "## Beside the paper",
        "The paper's node had 88 GB and ran Node.js under KVM; ours is as big as said above.",
        _papers(record),
        "## Environment",
        table(("fact", "value"), [(name, str(value)) for name, value in facts.items()]),
    ]
    if record.wrong:
        parts += ["## What did not work", "\n".join(f"- {line}" for line in record.wrong)]
    return "\n\n".join(parts) + "\n"


def _figures(record: Density) -> str:
    each, rate = record.frames_each, record.rate
    rows = [
        ("node's memory", f"{record.node_mib} MiB"),
        ("idle contexts", str(record.contexts)),
        ("stopped by", record.stopped_by or "not finished"),
        ("frames each", "-" if each is None else f"{each:.1f}"),
        ("memory each", "-" if each is None else f"{each * PAGE_BYTES / 1e3:.0f} kB"),
        ("created per second", "-" if rate is None else f"{rate:.1f}"),
    ]
    if record.deploy_ns:
        p10, median, p90 = np.percentile(np.asarray(record.deploy_ns) / 1e3, [10, 50, 90])
        rows.append(
            ("deploy, guest time", f"median {median:.0f} us, 10 % to 90 % {p10:.0f} to {p90:.0f}")
        )
    if record.asked:
        rows.append(("answered right", f"{record.right} of {record.asked}"))
        taken = (record.free_after - record.free_end) / record.asked
        rows.append(("frames more after a first request", f"{taken:.1f}"))
    return table(("figure", "ours"), rows)


def _papers(record: Density) -> str:
    rows = []
    for metric, ours in (
        ("cache density", float(record.contexts)),
        ("creation rate", record.rate),
    ):
        for system in ("SEUSS UC", "Linux process"):
            figure = papers.find("Table 3", metric, system)
            rows.append(
                (
                    f"{figure.metric}, {figure.system}",
                    "-" if ours is None else f"{ours:.5g} {figure.unit}",
                    f"{figure.value} {figure.unit}",
                    "-" if ours is None else f"{ours / figure.number:.3g}",
                    figure.status,
                )
            )
    return table(("figure", "ours (contexts)", "paper", "ours / paper", "status"), rows)
