"""cores.md of the cores experiment: requests per second, who had the processors, the promise."""

from __future__ import annotations

import numpy as np

from experiments.cores import CLIENTS, FUNCTIONS, ONE, PAIR, TWO, WAYS, Cores, Sample
from experiments.markdown import fact_table, table
from experiments.promises import Check, promises
from experiments.summary import Ratio, ratio_of_medians, summarise

LEAST = 1.6
FREE = 0.1
"""Host cores that others may take from a sample that the promise is judged by."""
FEWEST = 3


def judged(record: Cores, function: str, way: str) -> list[Sample]:
    """Return the samples during which others left the host's cores free."""
    return [each for each in record.of(function, way) if each.others_share <= FREE]


def check(record: Cores) -> list[Check]:
    """Judge the record by every promise of the experiment."""
    checks = [_scaling(record, each.name, each.title) for each in FUNCTIONS]
    wrong = float(sum(each.wrong for each in record.samples)) if record.samples else None
    return [*checks, Check("wrong answers", 0.0, "answers", wrong)]


def median_ratio(record: Cores, function: str, way: str) -> float | None:
    """Return rate of `way` / rate of one core by all samples, judged or not."""
    above, below = ([each.rate for each in record.of(function, every)] for every in (way, ONE))
    return float(np.median(above) / np.median(below)) if above and any(below) else None


def ratio(record: Cores, function: str, way: str) -> Ratio | None:
    """Return rate of `way` / rate of one core; None where too few samples had free cores."""
    above = [each.rate for each in judged(record, function, way)]
    below = [each.rate for each in judged(record, function, ONE)]
    if min(len(above), len(below)) < FEWEST:
        return None
    return ratio_of_medians(above, below, record.seed)


def _scaling(record: Cores, function: str, title: str) -> Check:
    promise = f"warm {title}, two cores / one core"
    found = ratio(record, function, TWO)
    if found is None:
        detail = f"others took over {FREE:g} cores of the host in too many samples"
        return Check(promise, LEAST, "x", None, detail, least=True)
    detail = found.told
    pair = ratio(record, function, PAIR)
    if pair is not None:
        detail += f"; two nodes of one core {pair.value:.3g}"
    every = median_ratio(record, function, TWO)
    if every is not None:
        detail += f"; by all samples {every:.3g}"
    return Check(promise, LEAST, "x", found.value, detail, least=True)


def render(record: Cores) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    facts = record.environment
    return (
        "\n\n".join(
            [
                f"# Requests per second by cores ({facts['accelerator'].upper()})",
                f"{CLIENTS} clients, each with one request under way: deploy a context from the "
                "function's snapshot, run, and have it ended. Every answer was checked. `pair` is "
                "two nodes of one core side by side: what the host gives to two processors that "
                f"share nothing. Order shuffled with seed {record.seed}.",
                "The clients and QEMU's devices run on the host's cores as well, which a node of "
                "one core leaves to them and a node of two does not where the host has two. The "
                "last column of the first table takes that out: it compares requests per second of "
                "processor time that the nodes' processors got, times the processors.",
                "## Promises",
                promises(check(record)),
                f"Judged by samples during which others took at most {FREE:g} host cores.",
                "## Requests per second",
                _rates(record),
                "## Who had the host's processors (median cores)",
                _processors(record),
                "## Environment",
                fact_table(facts),
                "The paper gives no figure for one node by cores.",
            ]
        )
        + "\n"
    )


def _rates(record: Cores) -> str:
    rows = []
    for workload in FUNCTIONS:
        alone = judged(record, workload.name, ONE)
        for way in WAYS:
            samples = judged(record, workload.name, way)
            taken = len(record.of(workload.name, way))
            if not samples:
                rows.append((workload.title, way, "-", "-", "-", "-", f"0 of {taken}", "-"))
                continue
            summary = summarise([each.rate for each in samples])
            found = ratio(record, workload.name, way)
            rows.append(
                (
                    workload.title,
                    way,
                    f"{summary.median:.0f}",
                    f"{summary.p10:.0f} to {summary.p90:.0f}",
                    "-" if found is None else f"{found.value:.2f}",
                    f"{1e3 * _cost(samples):.2f}",
                    f"{len(samples)} of {taken}",
                    "-" if not alone or way == ONE else f"{2 * _cost(alone) / _cost(samples):.2f}",
                )
            )
    head = ("function", "way", "median /s", "10 % to 90 %", "/ one core", "CPU ms each", "judged")
    return table((*head, "/ one core, CPU time alike"), rows)


def _cost(samples: list[Sample]) -> float:
    """Seconds of the nodes' processors per right answer, median."""
    return float(np.median([each.vcpu / max(1, each.answers) for each in samples]))


def _processors(record: Cores) -> str:
    rows = []
    for workload in FUNCTIONS:
        for way in WAYS:
            samples = record.of(workload.name, way)
            if not samples:
                continue
            users = ("vcpu", "device", "caller", "others")
            shares = [
                float(np.median([getattr(each, user) / each.seconds for each in samples]))
                for user in users
            ]
            rows.append((workload.title, way, *(f"{share:.2f}" for share in shares)))
    head = ("function", "way", "nodes' processors", "QEMU's devices", "caller", "others")
    return table(head, rows)
