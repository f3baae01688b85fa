"""density.md of the density experiment: our figures, the paper's beside them, and the promises."""

from __future__ import annotations

import numpy as np

from experiments import papers
from experiments.crowds import TITLES, Crowd
from experiments.density import Density
from experiments.markdown import fact_table, table
from experiments.peers.linux_process import LinuxProcess
from experiments.peers.oci import Crun
from experiments.peers.podman import Podman
from experiments.promises import Check, promises
from experiments.summary import ratio_of_medians

MEGABYTE = 1e6
PAGE_BYTES = 4096
MOST_FRAMES = 100.0
LEAST_TIMES = {LinuxProcess.name: 10.0, Podman.name: 15.0, Crun.name: 15.0}
"""How many times another system's instances per GiB contexts must reach."""
PAPERS = {LinuxProcess.name: "Linux process", Podman.name: "Docker container"}
"""What the paper calls the systems of its Table 3."""
UC = "SEUSS, contexts in one node (uc)"


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
        *against_others(record),
    ]


def against_others(record: Density) -> list[Check]:
    """Judge contexts per GiB by those of other systems' instances."""
    return [_times(record, system, limit) for system, limit in LEAST_TIMES.items()]


def _times(record: Density, system: str, limit: float) -> Check:
    promise = f"contexts per GiB / {TITLES[system]}"
    ours, crowd = record.per_gib, record.crowd(system)
    if ours is None or crowd is None:
        reason = record.unavailable.get(system, "the run holds no such instances")
        return Check(promise, limit, "x", None, reason, least=True)
    detail = f"{ours:.0f} / {crowd.per_gib:.0f} by PSS and the kernel's memory"
    return Check(promise, limit, "x", ours / crowd.per_gib, detail, least=True)


def _by_size(record: Density) -> Check:
    promise = "deploy, 200 MB snapshot / 2 MB snapshot, guest time"
    small, large = record.sized.get("2"), record.sized.get("200")
    if not small or not large:
        return Check(promise, 1.5, "x", None, "needs a node of 1 GiB or more")
    ratio = ratio_of_medians(large, small, record.seed)
    detail = f"{np.median(large) / 1e3:.0f} us / {np.median(small) / 1e3:.0f} us; {ratio.told}"
    return Check(promise, 1.5, "x", ratio.value, detail)


def render(record: Density) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    facts = record.environment
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
        "## Beside other systems",
        "Idle instances that have imported NOP. Memory is what the host keeps: the proportional "
        "set size (PSS) of their processes, and the kernel's own for them, which are page tables "
        "or, for containers, all that is charged to their control group. Of the node of contexts "
        "everything is counted, with QEMU and the snapshots; of the others not what instances are "
        "made from (zygote, engine, image). Linux microVMs run in the same QEMU "
        f"({facts['accelerator'].upper()}), but Firecracker's by KVM.",
        _others(record),
        "![density](density.png)",
        "## Beside the paper",
        "The paper's node had 88 GB and ran Node.js under KVM, its containers were Docker's; ours "
        "is as big as said above, with Python and podman. Compare ratios.",
        _papers(record),
        "## Environment",
        fact_table(facts),
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


def _others(record: Density) -> str:
    rows = []
    ours = record.per_gib
    if ours is not None and record.rate is not None:
        mb = f"{2**30 / ours / MEGABYTE:.2f}"
        rows.append((UC, str(record.contexts), mb, f"{ours:.0f}", "1", f"{record.rate:.1f}", "-"))
    for system, title in TITLES.items():
        crowd = record.crowd(system)
        if crowd is None:
            reason = record.unavailable.get(system, "not measured")
            rows.append((title, "-", "-", "-", "-", "-", f"does not run here: {reason}"))
        else:
            times = "-" if ours is None else f"{ours / crowd.per_gib:.3g}"
            mb = f"{2**30 / crowd.per_gib / MEGABYTE:.2f}"
            count, density = str(crowd.instances), f"{crowd.per_gib:.0f}"
            rows.append((title, count, mb, density, times, f"{crowd.rate:.1f}", _starts(crowd)))
    head = ("system", "instances", "MB each", "per GiB", "contexts / it", "created per second")
    return table((*head, "start of one, ms: median (10 % to 90 %)"), rows)


def _starts(crowd: Crowd) -> str:
    p10, median, p90 = np.percentile(crowd.start_ms, [10, 50, 90])
    return f"{median:.3g} ({p10:.3g} to {p90:.3g}), {crowd.workers} at a time"


def _papers(record: Density) -> str:
    rows = []
    for metric in ("cache density", "creation rate"):
        whole = papers.find("Table 3", metric, "SEUSS UC")
        for system in (None, *PAPERS):
            figure = papers.find("Table 3", metric, PAPERS[system] if system else "SEUSS UC")
            ours = _of(record, metric, system)
            top = _of(record, metric, None)
            unit = "per GiB" if metric == "cache density" else figure.unit
            rows.append(
                (
                    f"{figure.metric}, {figure.system}",
                    "-" if ours is None else f"{ours:.4g} {unit}",
                    f"{figure.value} {figure.unit}",
                    "-" if not ours or top is None else f"{top / ours:.3g}",
                    f"{whole.number / figure.number:.3g}",
                    figure.status,
                )
            )
    head = ("figure", "ours", "paper (88 GB node)", "our contexts / it", "the paper's UCs / it")
    return table((*head, "status"), rows)


def _of(record: Density, metric: str, system: str | None) -> float | None:
    """Return a figure of ours: of contexts, or of another system."""
    density = metric == "cache density"
    if system is None:
        return record.per_gib if density else record.rate
    crowd = record.crowd(system)
    return None if crowd is None else crowd.per_gib if density else crowd.rate
