"""micro-latency.md: Micro's Table 1 with our figures, the paper's beside them, the promises."""

from __future__ import annotations

import numpy as np

from experiments import micro_latency as ways
from experiments import papers
from experiments.markdown import fact_table, table
from experiments.micro_latency import Way
from experiments.micro_runs import MicroRecord, problems
from experiments.promises import Check, promises
from experiments.summary import ratio_of_medians

GIB = 2**30

_PAPER = (
    (ways.PROCESS_WARM, ways.PROCESS_RATE, "process-based", "warm"),
    (ways.LANGUAGE_WARM, ways.LANGUAGE_RATE, "language-based", "warm"),
    (ways.PROCESS_COLD, None, "process-based", "cold"),
    (ways.LANGUAGE_COLD, None, "language-based", "cold"),
)


def microseconds(record: MicroRecord, way: Way) -> list[float]:
    """Latencies of one way, of all rounds."""
    return [value / 1e3 for value in record.samples(way.name, "latency_ns")]


def check(record: MicroRecord) -> list[Check]:
    """Judge the record by every promise of the experiment."""
    return [
        _ratio(record, 1 / 5, ways.LANGUAGE_WARM, ways.PROCESS_WARM, "paper: 1/7.25"),
        _ratio(record, 1 / 30, ways.LANGUAGE_COLD, ways.PROCESS_COLD, "paper: 1/73"),
    ]


def _ratio(record: MicroRecord, limit: float, above: Way, below: Way, paper: str) -> Check:
    promise = f"{above.name} / {below.name}, medians"
    tops, bottoms = microseconds(record, above), microseconds(record, below)
    if not tops or not bottoms:
        return Check(promise, limit, "x", None)
    # By the rounds' medians: samples of one round are not independent.
    found = ratio_of_medians(_medians(record, above), _medians(record, below), record.seed)
    detail = (
        f"{np.median(tops):.3g} us / {np.median(bottoms):.4g} us; rounds: {found.told}; {paper}"
    )
    return Check(promise, limit, "x", float(np.median(tops) / np.median(bottoms)), detail)


def _medians(record: MicroRecord, way: Way) -> list[float]:
    return [float(np.median(each["latency_ns"])) for each in record.results(way.name)]


def render(record: MicroRecord) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    parts = [
        "# Latency of functions as processes and as libraries (Micro)",
        "The function is the paper's (what time is it?). Load generator and functions have a core "
        "each; requests and answers go through shared memory in every warm way. `language warm` "
        "finds the worker awake; `worker asleep` has it woken, as a process is. `process warm`: "
        f"{ways.PROCESSES} resident processes, each asleep when its turn comes. `language cold`: "
        "dlopen, dlsym, call, dlclose, each time another library than the last. `process cold`: "
        "fork and exec, with pipes. The preemption clock ticks every 1 ms where nothing is said.",
        "## Promises",
        promises(check(record)),
        "## Latencies",
        _latencies(record),
        "## Throughput of one core",
        "The processes' is an upper bound: one that has not quite gone to sleep is served without "
        "being woken.",
        _rates(record),
        "## Memory of resident functions",
        "Distinct copies of library and program, so that no pages are shared but those of the "
        "system's own libraries. By the kernel's MemAvailable, and by proportional set sizes.",
        _memory(record),
        "## Beside the paper",
        "The paper had bare metal, one load-generating core and 14 worker cores; its throughput is "
        "of all 14.",
        _papers(record),
        "## Environment",
        fact_table(record.environment),
    ]
    failed = problems(record)
    if failed:
        parts += ["## What did not work", failed]
    return "\n\n".join(parts) + "\n"


def _latencies(record: MicroRecord) -> str:
    rows = []
    for way in ways.LATENCIES:
        values = microseconds(record, way)
        if not values:
            rows.append((way.name, "-", "-", "-", "-", "0"))
            continue
        p10, median, p90, p99 = np.percentile(values, [10, 50, 90, 99])
        medians = [value / 1e3 for value in _medians(record, way)]
        rows.append(
            (
                way.name,
                f"{median:.3g}",
                f"{p10:.3g} to {p90:.3g}",
                f"{p99:.4g}",
                f"{min(medians):.3g} to {max(medians):.3g}",
                str(len(values)),
            )
        )
    head = ("way", "median us", "10 % to 90 %", "99 %", "medians of rounds", "n")
    return table(head, rows)


def _rates(record: MicroRecord) -> str:
    rows = []
    for way in ways.RATES:
        rates = [rate / 1e6 for rate in record.rates(way.name)]
        if rates:
            rows.append(
                (way.name, f"{np.median(rates):.3f}", f"{min(rates):.3f} to {max(rates):.3f}")
            )
        else:
            rows.append((way.name, "-", "-"))
    return table(("way", "median M/s", "range of rounds"), rows)


def _memory(record: MicroRecord) -> str:
    rows = []
    for way in (ways.LANGUAGE_MEMORY, ways.PROCESS_MEMORY):
        for result in record.results(way.name):
            count = result["functions"]
            rows.append(
                (
                    way.name,
                    str(count),
                    f"{result['available_bytes'] / GIB:.3f}",
                    f"{result['proportional_bytes'] / GIB:.3f}",
                    f"{result['proportional_bytes'] / count / 1024:.1f}",
                )
            )
    return table(("way", "functions", "MemAvailable GiB", "PSS GiB", "PSS KiB each"), rows)


def _papers(record: MicroRecord) -> str:
    rows = []
    for way, rate, system, warmth in _PAPER:
        values = microseconds(record, way)
        for metric, percent in (("median", 50), ("99th percentile", 99)):
            figure = papers.find("Table 1", f"{warmth} invocation {metric}", system)
            ours = float(np.percentile(values, percent)) if values else None
            rows.append(_beside(figure, ours))
        if rate is not None:
            rates = record.rates(rate.name)
            figure = papers.find("Table 1", f"{warmth} throughput", system)
            rows.append(_beside(figure, float(np.median(rates)) / 1e6 if rates else None))
    for way, system in (
        (ways.PROCESS_MEMORY, "process-based"),
        (ways.LANGUAGE_MEMORY, "language-based"),
    ):
        figure = papers.find("text", "memory of 5000 resident functions", system)
        full = [each for each in record.results(way.name) if each["functions"] == ways.RESIDENT]
        rows.append(_beside(figure, full[0]["available_bytes"] / GIB if full else None))
    return table(("figure", "ours", "paper", "ours / paper", "status"), rows)


def _beside(figure: papers.PaperFigure, ours: float | None) -> tuple[str, ...]:
    return (
        f"{figure.metric}, {figure.system}",
        "not measured" if ours is None else f"{ours:.3g} {figure.unit}",
        f"{figure.value} {figure.unit}",
        "-" if ours is None else f"{ours / figure.number:.3g}",
        figure.status,
    )
