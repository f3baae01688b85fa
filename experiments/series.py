"""Each experiment's samples as named series, for the comparison of two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.burst import Burst
from experiments.cores import Cores
from experiments.density import Density
from experiments.dirty_record import DirtyTracking
from experiments.measurements import Measurements
from experiments.micro_runs import MicroRecord
from experiments.recording import Recording
from experiments.throughput import Throughput

Series = Mapping[str, Sequence[float]]
"""Samples by a name that says what they are of, and their unit."""


def of_latency(record: Recording) -> Series:
    """Return the latencies of every cell."""
    cells = dict.fromkeys(sample.cell for sample in record.samples)
    return {f"{cell.name} (ms)": record.latencies(cell) for cell in cells}


def of_density(record: Density) -> Series:
    """Return the deploys' guest times, and the others' starts."""
    sized = {f"deploy, {size} MB (ns)": times for size, times in record.sized.items()}
    starts = {f"start, {each.system} (ms)": each.start_ms for each in record.crowds}
    return {"deploy (ns)": record.deploy_ns, **sized, **starts}


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
    for trial in record.trials:
        found.setdefault(f"{trial.system}, {trial.functions} (1/s)", []).append(trial.rate)
    return found


def of_burst(record: Burst) -> Series:
    """Return the latencies of answered calls of every system, interval and kind."""
    found: dict[str, list[float]] = {}
    for timeline in record.timelines:
        for each in timeline.outcomes:
            what = f"{'background' if each.burst is None else 'burst'}, {each.kind}"
            name = f"{timeline.system}, every {timeline.interval_s:g} s, {what} (ms)"
            if each.error is None:
                found.setdefault(name, []).append(each.latency_ms)
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
