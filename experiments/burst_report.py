"""burst.md of the burst experiment: who answered what in each burst, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from experiments import papers
from experiments.burst import DELAY_S, Burst, Timeline
from experiments.burst_calls import KINDS, TURNS, Outcome
from experiments.markdown import fact_table, table
from experiments.promises import Check, promises
from experiments.systems import MEMORY, POOLS, SEUSS, SYSTEMS, TITLES, pools_table

PERCENTILES = (1, 50, 99)
_MOST_REASONS = 3


def failed(outcomes: Sequence[Outcome]) -> int:
    """Return how many calls were not answered, late or wrongly."""
    return sum(each.error is not None for each in outcomes)


def check(record: Burst) -> list[Check]:
    """Judge the record by every promise of the experiment."""
    return [_no_failure(record, interval) for interval in record.scale.intervals]


def _no_failure(record: Burst, interval_s: float) -> Check:
    promise = f"failed calls of SEUSS, bursts every {interval_s:g} s"
    found = record.of(SEUSS, interval_s)
    if found is None:
        return Check(promise, 0.0, "calls", None)
    told = [f"of {len(found.outcomes)}, {len(found.bursts())} of them in bursts"]
    for pool in POOLS:
        other = record.of(pool, interval_s)
        if other is not None:
            told.append(f"{pool} failed {failed(other.outcomes)}")
    return Check(promise, 0.0, "calls", float(failed(found.outcomes)), "; ".join(told))


def render(record: Burst) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    facts = record.environment
    scale = record.scale
    intervals = ", ".join(f"{each:g}" for each in scale.intervals)
    return (
        "\n\n".join(
            [
                f"# Bursts over a steady background ({facts['accelerator'].upper()})",
                f"The background: {scale.rate:g} calls per second over {scale.known} known "
                "functions, half of them CPU-bound, half IO-bound. After "
                f"{scale.lead_in_s:g} s, {scale.bursts} bursts follow each other every "
                f"{intervals} s: concurrent calls of one function that is new in each burst, "
                f"{scale.cpu_calls} of a CPU-bound and {scale.io_calls} of an IO-bound one in "
                f"turn. CPU-bound is a loop of {TURNS:,} turns in Python; IO-bound is one HTTP "
                f"call to a local server that answers after {DELAY_S * 1000:g} ms. Every call is "
                "made when it is due, whether or not others were answered; latency counts from "
                f"then, and a call without its answer after {scale.deadline_s:g} s has failed. "
                "Every answer was checked; no sample was dropped.",
                f"All systems have {record.node_mib} MiB: {MEMORY} SEUSS's functions reach the "
                "server through the guest's own TCP/IP and QEMU's user-mode network; containers "
                "through the host's network, which spares them the set-up of one each. Containers "
                f"use the host's {facts['cores']} processors at native speed, SEUSS's node has "
                f"{facts['guest_cores']}.",
                "![burst](burst.png)",
                "## Promises",
                promises(check(record)),
                "## Latency in ms",
                _latencies(record),
                "## How long a burst lasts",
                "Seconds from its start to its last answer or failure: median and range over the "
                "bursts of a kind.",
                _lengths(record),
                "## What failed",
                _failures(record),
                "## The pools",
                pools_table(record.containers, record.container_bytes, record.unavailable),
                "## The paper's figures, not measured here",
                _paper(record),
                "## Environment",
                fact_table(facts),
            ]
        )
        + "\n"
    )


def _timelines(record: Burst) -> list[Timeline]:
    found = (record.of(system, each) for each in record.scale.intervals for system in SYSTEMS)
    return [each for each in found if each is not None]


def _latencies(record: Burst) -> str:
    rows = []
    for timeline in _timelines(record):
        for what, of in (("background", timeline.background), ("burst", timeline.bursts)):
            for kind in KINDS:
                found = of(kind)
                values = np.percentile([each.latency_ms for each in found], PERCENTILES)
                paths = Counter(each.path for each in found if each.path is not None)
                rows.append(
                    (
                        f"{timeline.interval_s:g} s",
                        TITLES[timeline.system],
                        f"{what}, {KINDS[kind].title}",
                        *(f"{each:.0f}" for each in values),
                        ", ".join(f"{count} {path}" for path, count in paths.most_common()),
                        f"{failed(found)} of {len(found)}",
                    )
                )
    head = ("interval", "system", "calls", *(f"{each} %" for each in PERCENTILES))
    return table((*head, "paths", "failed"), rows)


def lengths(timeline: Timeline, kind: str) -> list[float]:
    """Return how many seconds each burst of a kind took until its last call ended."""
    ends: dict[int, float] = {}
    for each in timeline.bursts(kind):
        if each.burst is not None:
            ends[each.burst] = max(ends.get(each.burst, 0.0), each.latency_ms / 1000)
    return list(ends.values())


def _lengths(record: Burst) -> str:
    rows = []
    for timeline in _timelines(record):
        cells = [f"{timeline.interval_s:g} s", TITLES[timeline.system]]
        for kind in KINDS:
            found = lengths(timeline, kind)
            cells.append(f"{np.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
        rows.append(cells)
    return table(("interval", "system", *(each.title for each in KINDS.values())), rows)


def _failures(record: Burst) -> str:
    rows = []
    for timeline in _timelines(record):
        reasons = Counter(each.error for each in timeline.outcomes if each.error is not None)
        rows += [
            (f"{timeline.interval_s:g} s", TITLES[timeline.system], str(count), reason)
            for reason, count in reasons.most_common(_MOST_REASONS)
        ]
    if not rows:
        return "Nothing."
    return table(("interval", "system", "calls", f"reason (the {_MOST_REASONS} commonest)"), rows)


def _paper(record: Burst) -> str:
    scale = record.scale
    ours = {
        ("burst figures", "burst periods"): "/".join(f"{each:g}" for each in scale.intervals),
        ("authors' scripts", "burst size (CPU-bound)"): str(scale.cpu_calls),
        ("authors' scripts", "burst size (IO-bound)"): str(scale.io_calls),
        ("authors' scripts", "lead-in and tail"): f"{scale.lead_in_s:g} and {scale.tail_s:g}",
    }
    rows = []
    for (item, metric), value in ours.items():
        figure = papers.find(item, metric, "both")
        rows.append((metric, f"{figure.value} {figure.unit}", figure.status, value, figure.note))
    return (
        table(("figure", "paper", "status", "this run", "note"), rows)
        + "\n\nThe paper ran OpenWhisk before both, with Docker, Node.js functions and a node of "
        "88 GB, each timeline with bursts of one kind. Here both kinds of node are driven "
        "directly, and the kinds alternate. Where the guest is emulated (TCG), CPU-bound "
        "functions of SEUSS run an order of magnitude slower than those in containers."
    )
