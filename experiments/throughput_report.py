"""throughput.md of the throughput experiment: calls per second and latencies by working set."""

from __future__ import annotations

import numpy as np

from experiments import papers
from experiments.markdown import fact_table, table
from experiments.peers.oci import Crun
from experiments.peers.podman import Podman
from experiments.promises import Check, promises
from experiments.summary import Ratio, ratio_of_medians
from experiments.systems import MEMORY, POOLS, SEUSS, SYSTEMS, TITLES, pools_table
from experiments.throughput import Throughput

LEAST = {Podman.name: 20.0, Crun.name: 4.0}
"""How many times a pool's throughput SEUSS must reach on all-new functions."""
FEWEST_CALLS = 256
"""In a trial that is judged: with fewer, what happens once at its start weighs too much."""
PERCENTILES = (1, 25, 50, 75, 99)
"""As in the paper's Figure 5."""


def ratio(record: Throughput, pool: str, functions: int) -> Ratio | None:
    """Return SEUSS's calls per second / a pool's; None where either has none."""
    above = [trial.rate for trial in record.of(SEUSS, functions)]
    below = [trial.rate for trial in record.of(pool, functions)]
    if not above or not below or not np.median(below) > 0:
        return None
    return ratio_of_medians(above, below, record.seed)


def check(record: Throughput) -> list[Check]:
    """Judge the record by every promise of the experiment."""
    few, many = record.sizes[0], record.sizes[-1]
    checks = []
    for pool in POOLS:
        if many == record.scale.calls:
            promise = f"all-new functions, SEUSS / {TITLES[pool]}"
            checks.append(_at_least(record, promise, LEAST[pool], pool, many))
    for pool in POOLS:
        promise = f"smallest set ({few}), SEUSS / {TITLES[pool]}"
        checks.append(_at_least(record, promise, 1.0, pool, few))
    trials = [trial for trial in record.trials if trial.system == SEUSS]
    failed = float(sum(len(trial.errors) for trial in trials)) if trials else None
    return [*checks, Check("failed or wrong calls of SEUSS", 0.0, "calls", failed)]


def _at_least(record: Throughput, promise: str, limit: float, pool: str, functions: int) -> Check:
    found = ratio(record, pool, functions)
    if found is None:
        reason = record.unavailable.get(pool, "the run holds no trial of both")
        return Check(promise, limit, "x", None, reason, least=True)
    rounds = len(record.of(SEUSS, functions))
    detail = f"medians of {rounds} trials; {found.told}"
    detail += f"; the pool holds {record.containers[pool]} containers"
    few = ""
    if record.scale.calls < FEWEST_CALLS:
        few = f"{record.scale.calls} calls in a trial are too few, {FEWEST_CALLS} decide"
    return Check(promise, limit, "x", found.value, detail, least=True, unjudged=few)


def render(record: Throughput) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    facts = record.environment
    scale = record.scale
    return (
        "\n\n".join(
            [
                f"# Throughput by working set ({facts['accelerator'].upper()})",
                f"{scale.calls} calls of NOP by {scale.clients} closed-loop clients, over so many "
                "different functions (differing in identity only), each called as often as the "
                f"others, shuffled (seed {record.seed}); {scale.rounds} rounds. The rightmost "
                "working set has every call on a function of its own. Every node is empty when a "
                "trial begins, with its base snapshot or its prewarmed containers ready. Every "
                "answer was checked.",
                f"All have {facts['cores']} processors, SEUSS's node as many of its own "
                f"({facts['guest_cores']}), and {record.node_mib} MiB: {MEMORY}",
                "![throughput](throughput.png)",
                "## Promises",
                promises(check(record)),
                "## Calls per second",
                _rates(record),
                "## Latency in ms, percentiles over all rounds",
                _latencies(record),
                "## Paths taken (share of calls)",
                _paths(record),
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


def _rates(record: Throughput) -> str:
    rows = []
    for functions in record.sizes:
        cells = [str(functions)]
        for system in SYSTEMS:
            rates = [trial.rate for trial in record.of(system, functions)]
            cells.append(
                f"{np.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})" if rates else "-"
            )
        for pool in POOLS:
            found = ratio(record, pool, functions)
            cells.append("-" if found is None else f"{found.value:.3g}")
        rows.append(cells)
    head = ["functions", *(f"{TITLES[each]}: median (range)" for each in SYSTEMS)]
    return table([*head, *(f"SEUSS / {pool}" for pool in POOLS)], rows)


def _latencies(record: Throughput) -> str:
    rows = []
    for functions in record.sizes:
        for system in SYSTEMS:
            trials = record.of(system, functions)
            found = [each for trial in trials for each in trial.latencies_ms]
            if found:
                values = (f"{each:.1f}" for each in np.percentile(found, PERCENTILES))
                failed = sum(len(trial.errors) for trial in trials)
                rows.append((str(functions), TITLES[system], *values, str(failed)))
    head = ("functions", "system", *(f"{each} %" for each in PERCENTILES), "failed calls")
    return table(head, rows)


def _paths(record: Throughput) -> str:
    rows = []
    for functions in record.sizes:
        for system in SYSTEMS:
            counts: dict[str, int] = {}
            for trial in record.of(system, functions):
                for path, count in trial.paths.items():
                    counts[path] = counts.get(path, 0) + count
            total = sum(counts.values())
            if total:
                shares = ", ".join(
                    f"{path} {100 * count / total:.0f} %" for path, count in sorted(counts.items())
                )
                rows.append((str(functions), TITLES[system], shares))
    return table(("functions", "system", "paths"), rows)


def _paper(record: Throughput) -> str:
    figure = papers.find("abstract", "platform throughput on all-new functions", "SEUSS vs Linux")
    found = ratio(record, Podman.name, record.sizes[-1])
    ours = "-" if found is None else f"{found.value:.1f}"
    row = (figure.metric, f"{figure.value} {figure.unit}", figure.status, ours)
    rows = table(("figure", "paper", "status", "ours, SEUSS / podman"), [row])
    return (
        rows + "\n\nThe paper ran OpenWhisk before both, with Docker and Node.js functions on a "
        "node of 88 GB. Here both kinds of node are driven directly, without a platform's message "
        "queue in front of them."
    )
