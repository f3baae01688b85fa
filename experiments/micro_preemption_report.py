"""micro-preemption.md: throughput by quantum beside the paper's, delays, leaks, survival."""

from __future__ import annotations

import numpy as np

from experiments import micro_preemption as parts
from experiments import papers
from experiments.markdown import fact_table, table
from experiments.micro_preemption import (
    BARE,
    BUDGET_US,
    DELAY,
    JITTER,
    LEAK,
    REQUESTS,
    SURVIVAL,
    WORKER,
)
from experiments.micro_runs import MicroRecord, problems
from experiments.promises import Check, promises
from experiments.summary import ratio_of_medians

DELAY_QUANTUM_NS = 100_000
"""By which delays are judged."""
KEPT = 0.85
KEPT_OF_BARE = 0.95
FEWEST = 5
"""Runs on each side by which throughput is judged: one of 300 ms is a tenth off."""
GRACE_US = 200.0
SETTLED = 0.1
"""The part of the stopped calls after which the worker's memory must not grow."""
MOST_GROWTH_KIB = 64.0


UNDISTURBED = 75
"""Percentile of rounds by which throughput is judged: whatever disturbs a round takes away."""


def rate(record: MicroRecord, way: str, quantum: int) -> float | None:
    """Answers per second of the rounds that were least disturbed."""
    rates = record.rates(way, quantum_ns=quantum)
    return float(np.percentile(rates, UNDISTURBED)) if rates else None


def kept(record: MicroRecord, way: str, quantum: int) -> float | None:
    """Throughput with that quantum / throughput without a tick."""
    with_tick, without = rate(record, way, quantum), rate(record, way, parts.NO_TICK)
    if with_tick is None or not without:
        return None
    return with_tick / without


def check(record: MicroRecord) -> list[Check]:
    """Judge the record by every promise of the experiment."""
    return [_throughput(record), _delay(record), _leak(record), _survival_of_escape(record)]


def _throughput(record: MicroRecord) -> Check:
    quantum = parts.JUDGED_QUANTUM_NS
    worker, bare = kept(record, WORKER, quantum), kept(record, BARE, quantum)
    promise = "SHA-512 throughput kept at a quantum of 20 us"
    if worker is None or bare is None or bare == 0:
        return Check(promise, KEPT, "x", None, least=True)
    above, below = (record.rates(way, quantum_ns=quantum) for way in (WORKER, BARE))
    runs = min(len(above), len(below))
    few = f"{runs} runs are too few, {FEWEST} decide" if runs < FEWEST else ""
    if bare >= KEPT:
        detail = f"bare loop {bare:.3f}, n = {runs}"
        return Check(promise, KEPT, "x", worker, detail, least=True, unjudged=few)
    rates = ratio_of_medians(above, below, record.seed)
    detail = (
        f"the machine's own timer forbids {KEPT:g}: a bare loop keeps {bare:.3f}, the worker "
        f"{worker:.3f}; median rates {rates.value:.3f}, {rates.told}, n = {runs}"
    )
    promise += ", of what a bare loop keeps"
    return Check(promise, KEPT_OF_BARE, "x", worker / bare, detail, least=True, unjudged=few)


def _delay(record: MicroRecord) -> Check:
    promise = "wait behind a function that spins, 99th percentile"
    limit = BUDGET_US + GRACE_US
    waits = record.samples(DELAY, "wait_ns", quantum_ns=DELAY_QUANTUM_NS)
    if not waits:
        return Check(promise, limit, "us", None)
    median, p99 = np.percentile(waits, [50, 99]) / 1e3
    detail = f"budget {BUDGET_US} us, quantum {DELAY_QUANTUM_NS // 1000} us, median {median:.1f}"
    return Check(promise, limit, "us", float(p99), f"{detail}, n = {len(waits)}")


def growth(record: MicroRecord) -> tuple[int, float] | None:
    """Stopped calls, and KiB by which the worker grew after the first tenth of them."""
    # Of a function that allocates: none of another one could show a leak.
    results = record.results(LEAK, of=parts.LEAK_FUNCTION)
    if not results:
        return None
    memory = results[0]["resident_bytes"]
    settled = memory[int(len(memory) * SETTLED) :]
    return len(results[0]["wait_ns"]), (max(settled) - settled[0]) / 1024


def _leak(record: MicroRecord) -> Check:
    found = growth(record)
    if found is None:
        return Check("growth of a worker that stops calls", MOST_GROWTH_KIB, "KiB", None)
    calls, grown = found
    promise = f"growth of a worker that stops {calls} calls of `{parts.LEAK_FUNCTION}`"
    return Check(promise, MOST_GROWTH_KIB, "KiB", grown, "resident memory, most - first")


def _survival_of_escape(record: MicroRecord) -> Check:
    results = record.results(SURVIVAL, mechanism="escape")
    promise = "workers lost by stopping calls, escape"
    if not results:
        return Check(promise, 0.0, "workers", None)
    lost = sum(result["died"] + result["hung"] for result in results)
    stopped = sum(result["stopped"] for result in results)
    return Check(promise, 0.0, "workers", float(lost), f"{stopped} calls stopped")


def render(record: MicroRecord) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    texts = [
        "# Preemption of native functions (Micro)",
        "A periodic tick raises SIGALRM in the worker; a function over its budget is stopped at "
        f"the tick. `worker` computes {parts.HASHES} hashes in a call; `bare loop` calls the same "
        "library without worker, channel or system-call filter, under the same tick with a handler "
        "that counts, while the load generator's core is as busy: what it loses is the machine's. "
        "`a request each` has the load generator in it as well. Rates are the "
        f"{UNDISTURBED}th percentile of rounds: what disturbs a round only takes away.",
        "## Promises",
        promises(check(record)),
        "## SHA-512 of 64 bytes by quantum",
        _quanta(record),
        "## The tick",
        "Nanoseconds between two ticks as a spinning process sees them. The paper: deviations "
        "below 0.5 us for periods from 3 us on.",
        _jitter(record),
        "## From the budget to a free worker",
        "A function that spins is stopped; another request waits behind it. `over budget`: from "
        "the end of the budget until the worker is free. `wait`: of the request behind, from "
        "before the first was sent to its own answer.",
        _delays(record),
        "## Mechanisms",
        f"{parts.SURVIVAL_BATCH} calls in each worker are stopped, unless it dies or hangs. "
        "`unwind` is the paper's mechanism; it unwinds from wherever the signal came.",
        _mechanisms(record),
        "## Environment",
        fact_table(record.environment),
    ]
    failed = problems(record)
    if failed:
        texts += ["## What did not work", failed]
    return "\n\n".join(texts) + "\n"


def paper_kept(quantum: int) -> float | None:
    """The part that the paper kept at that quantum."""
    try:
        figure = papers.find(
            "preemption", f"throughput at quantum {quantum // 1000} us", "language-based"
        )
    except KeyError:
        return None
    return figure.number / 100


def _quanta(record: MicroRecord) -> str:
    rows = []
    for quantum in (parts.NO_TICK, *parts.QUANTA_NS):
        row = ["none" if quantum == parts.NO_TICK else f"{quantum / 1000:g}"]
        for way, each in ((WORKER, parts.HASHES), (BARE, parts.HASHES), (REQUESTS, 1)):
            found, part = rate(record, way, quantum), kept(record, way, quantum)
            row.append("-" if found is None else f"{found * each / 1e6:.3f}")
            row.append("-" if part is None else f"{part:.3f}")
        worker, bare = kept(record, WORKER, quantum), kept(record, BARE, quantum)
        row.append(f"{worker / bare:.3f}" if worker is not None and bare else "-")
        paper = paper_kept(quantum)
        row.append("-" if paper is None else f"{paper:g}")
        rows.append(row)
    head = ("quantum us", "worker Mhash/s", "kept", "bare loop", "kept", "a request each", "kept")
    return table((*head, "worker / bare, kept", "paper kept"), rows)


def _jitter(record: MicroRecord) -> str:
    rows = []
    for quantum in parts.QUANTA_NS:
        values = np.asarray(record.samples(JITTER, "interval_ns", quantum_ns=quantum))
        if not len(values):
            rows.append((f"{quantum / 1000:g}", "-", "-", "-", "0"))
            continue
        off = np.abs(values - quantum) / 1e3
        median, p99 = np.percentile(off, [50, 99])
        rows.append(
            (
                f"{quantum / 1000:g}",
                f"{np.median(values) / 1e3:.2f}",
                f"{median:.2f}",
                f"{p99:.1f}",
                str(len(values)),
            )
        )
    head = ("period us", "median interval us", "deviation, median us", "deviation, 99 %", "n")
    return table(head, rows)


def _delays(record: MicroRecord) -> str:
    rows = []
    for way, quanta in ((DELAY, parts.DELAY_QUANTA_NS), (LEAK, (parts.LEAK_QUANTUM_NS,))):
        for quantum in quanta:
            waits = np.asarray(record.samples(way, "wait_ns", quantum_ns=quantum)) / 1e3
            stops = np.asarray(record.samples(way, "stopped_after_ns", quantum_ns=quantum)) / 1e3
            if not len(waits):
                continue
            over = np.percentile(stops - BUDGET_US, [50, 99])
            wait = np.percentile(waits, [50, 99])
            rows.append(
                (
                    f"{quantum / 1000:g}",
                    str(len(waits)),
                    *(f"{value:.1f}" for value in (*over, *wait)),
                )
            )
    head = ("quantum us", "calls stopped", "over budget, median us", "99 %", "wait, median us")
    return table((*head, "99 %"), rows)


def _mechanisms(record: MicroRecord) -> str:
    rows = []
    for function in parts.SURVIVAL_FUNCTIONS:
        for mechanism in parts.MECHANISMS:
            for result in record.results(SURVIVAL, mechanism=mechanism, of=function):
                grown = result["growth_bytes"]
                rows.append(
                    (
                        function,
                        mechanism,
                        f"{result['workers'] - result['died'] - result['hung']} "
                        f"of {result['workers']}",
                        *(str(result[name]) for name in ("died", "hung", "stopped")),
                        str(result["other_endings"]),
                        f"{np.median(grown) / 1024:.0f}" if grown else "-",
                    )
                )
    head = ("function", "mechanism", "workers whole", "died", "hung", "calls stopped")
    return table((*head, "other endings", "growth of the whole, KiB"), rows)
