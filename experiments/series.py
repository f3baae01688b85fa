"""Each experiment's samples as named series, for the comparison of two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.burst import Burst
from experiments.cores import Cores
from experiments.density import Density
from experiments.dirty_record import DirtyTracking
from experiments.measurements import Measurements
from experiments.micro_runs import MicroRecord
from experiments.recording import Recording
from experiments.throughput import Throughput

Series = Mapping[str, Sequence[float]]
"""Samples by a name that says what they are of, under which load, and their unit."""


BATCHES = 20
"""Into which long series are cut."""


def batches(values: Sequence[float]) -> list[float]:
    """Return the medians of as many batches of samples that follow each other.

    What was measured back to back is not independent: a test would take its number for certainty.
    """
    if len(values) <= BATCHES:
        return list(values)
    return [float(np.median(each)) for each in np.array_split(np.asarray(values), BATCHES)]


def of_latency(record: Recording) -> Series:
    """Return the median latency of every cell in each round."""
    rounds: dict[str, dict[int, list[float]]] = {}
    for each in record.samples:
        if each.latency_ms is not None:
            cell = rounds.setdefault(f"{each.cell.name} (ms)", {})
            cell.setdefault(each.round, []).append(each.latency_ms)
    return {
        name: [float(np.median(values)) for values in found.values()]
        for name, found in rounds.items()
    }


def of_density(record: Density) -> Series:
    """Return the deploys' guest times and the others' starts, by batches."""
    node = f"node of {record.node_mib} MiB (ns)"
    found: dict[str, Sequence[float]] = {f"deploy, {node}": record.deploy_ns}
    found |= {f"deploy, {size} MB, {node}": times for size, times in record.sized.items()}
    for each in record.crowds:
        found[f"start, {each.instances} of {each.system} (ms)"] = each.start_ms
    return {f"batches of {name}": batches(times) for name, times in found.items()}


def of_dirty_tracking(record: DirtyTracking) -> Series:
    """Return every function's times."""
    found: dict[str, list[float]] = {}
    for sample in record.samples:
        for name, value in sample.times_ms.items():
            found.setdefault(f"{sample.function}, {name} (ms)", []).append(value)
    return found


def of_cores(record: Cores) -> Series:
    """Return the rates of every function and way."""
    found: dict[str, list[float]] = {}
    for sample in record.samples:
        found.setdefault(f"{sample.function}, {sample.way} (1/s)", []).append(sample.rate)
    return found


def of_throughput(record: Throughput) -> Series:
    """Return the rates of every system and number of functions."""
    found: dict[str, list[float]] = {}
    load = f"{record.scale.calls} calls by {record.scale.clients}"
    for trial in record.trials:
        name = f"{trial.system}, {trial.functions} functions, {load} (1/s)"
        found.setdefault(name, []).append(trial.rate)
    return found


def of_burst(record: Burst) -> Series:
    """Return the median latency of each burst, and of the background's calls since each burst.

    Failed calls count with the time they took. Of one system, those of all intervals together.
    """
    found: dict[str, list[float]] = {}
    scale = record.scale
    load = f"{scale.cpu_calls} and {scale.io_calls} calls each"
    for timeline in record.timelines:
        parts: dict[tuple[str, int], list[float]] = {}
        for each in timeline.outcomes:
            since = (each.at_s - scale.lead_in_s) // timeline.interval_s
            burst = int(since) if each.burst is None else each.burst
            what = f"{'background' if each.burst is None else 'burst'}, {each.kind}"
            parts.setdefault((what, burst), []).append(each.latency_ms)
        for (what, _), values in parts.items():
            name = f"{timeline.system}, {what}, bursts of {load}, medians (ms)"
            found.setdefault(name, []).append(float(np.median(values)))
    return found


def of_micro(record: MicroRecord) -> Series:
    """Return throughput by round of every way and its parameters.

    Single calls of one round are not independent of each other; rounds are.
    """
    found: dict[str, list[float]] = {}
    for run in record.runs:
        result = run.result
        if result is not None and "answered" in result and result.get("elapsed_ns"):
            parameters = ", ".join(f"{name} {value}" for name, value in run.parameters.items())
            rate = result["answered"] / result["elapsed_ns"] * 1e9
            found.setdefault(f"{run.way}, {parameters} (1/s)", []).append(rate)
    return found


def of_measurements(record: Measurements) -> Series:
    """Return every metric by its labels."""
    return record.series()
