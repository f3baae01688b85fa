"""latency.md of the latency experiment: our figures, the paper's beside them, and the promises."""

from __future__ import annotations

from collections.abc import Sequence

from experiments import papers
from experiments.latency import HOT_OFTEN, OTHERS, PROCESS, UC_PATHS
from experiments.markdown import fact_table, table
from experiments.peers import line_up
from experiments.promises import promises
from experiments.recording import PHASES, Cell, Recording
from experiments.requirements import MEGABYTE, PAGE_BYTES, check
from experiments.summary import ratio_of_medians, summarise
from experiments.workloads import ALL, JAVASCRIPT

WAYS = (
    ("process", None, "vm"),
    ("booted", None, "vm"),
    ("cold", False, "vm"),
    ("cold", True, "vm"),
    ("warm", False, "vm"),
    ("warm", True, "vm"),
    ("cold", True, "uc"),
    ("warm", True, "uc"),
    ("hot", True, "uc"),
)

PYTHON_ONLY = (("process", None, "vm"), ("cold", False, "vm"), ("warm", False, "vm"))
"""Ways that functions of another language are not measured on."""

_PAPER_LATENCIES = (
    ("Table 2", "cold start latency NOP", Cell("nop", "cold", ao=True)),
    ("Table 2", "warm start latency NOP", Cell("nop", "warm", ao=True)),
    ("Table 2", "cold start latency NOP", Cell("nop", "cold", True, "uc")),
    ("Table 2", "warm start latency NOP", Cell("nop", "warm", True, "uc")),
    ("Table 2", "hot start latency NOP", Cell("nop", "hot", True, "uc")),
    ("AO table", "cold start latency without AO", Cell("nop", "cold", ao=False)),
    ("AO table", "warm start latency without AO", Cell("nop", "warm", ao=False)),
)
_PAPER_SIZES = (
    ("base snapshot size (Node.js; with AO)", "base", True, None),
    ("base snapshot size (Node.js; before AO)", "base", False, None),
    ("NOP function snapshot size (with AO)", "function", True, "nop"),
    ("NOP function snapshot size (before AO)", "function", False, "nop"),
)


def render(recording: Recording) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    parts = [
        f"# Latency by path ({recording.environment['accelerator'].upper()})",
        _introduction(recording),
        "## Promises",
        promises(check(recording)),
        "## Milliseconds from call to answer",
        "Median, 10th to 90th percentile, and how many times faster than booted.",
        _latencies(recording),
        "## NOP beside other systems",
        "The same function and arguments. Each other system starts an instance, which imports the "
        "function and answers, within the time; what it starts from (zygote, dump, image, "
        "snapshot) is there. Linux microVMs run in the same QEMU, by the accelerator that is "
        "named; Firecracker runs by KVM only, and all others run natively.",
        _others(recording),
        "## Where the time goes (NOP, median ms)",
        _phases(recording),
        "## Beside the paper",
        "The paper's figures are of Node.js under KVM on other hardware, so only orders of "
        "magnitude compare. `status` says how sure the paper's figure is.",
        _papers(recording),
        "## Environment",
        fact_table(recording.environment),
    ]
    problems = _problems(recording)
    if problems:
        parts += ["## What did not work", problems]
    return "\n\n".join(parts) + "\n"


def _introduction(recording: Recording) -> str:
    rounds = max((sample.round for sample in recording.samples), default=-1) + 1
    text = (
        f"{rounds} of {recording.rounds} rounds, each with every function on every path once and "
        f"NOP's hot calls {HOT_OFTEN} times, in an order shuffled with seed {recording.seed}. "
        "Every answer was checked. "
        "`process` is a fresh `python3.11 -S -I` on the same function and arguments, on the bare "
        "host. Booted starts a QEMU and boots it within the time. Cold invokes code that was never "
        "seen before, and the capture of its snapshot is in the time; it goes to the disk after "
        "the answer. Cold and warm find a machine made ready ahead (its making is not in the "
        "time): for cold one restored from the base and paused, with its changes being recorded, "
        "which with AO has run another function; for warm a started QEMU over the base's memory "
        "that still has to take in the function's snapshot. Paths marked (uc) are answered by "
        "contexts of one node that runs all the time: cold and warm deploy a context within the "
        "time, hot finds an idle one."
    )
    if recording.environment["accelerator"] == "tcg":
        text += (
            "\n\n**QEMU emulates the guest's processor here (TCG)**: what runs inside the guest is "
            "an order of magnitude slower than on hardware, while `process` runs natively. Only "
            "ratios between the guest's paths carry over to other machines."
        )
    return text


def _latencies(recording: Recording) -> str:
    rows = []
    for workload in ALL:
        booted = recording.latencies(Cell(workload.name, "booted"))
        for way in WAYS:
            cell = Cell(workload.name, *way)
            values = recording.latencies(cell)
            if not values and workload in JAVASCRIPT and way in PYTHON_ONLY:
                continue
            if not values:
                reason = recording.unavailable.get(cell.name, "no sample")
                rows.append((workload.title, cell.way, "-", "-", "-", "0", reason))
                continue
            summary = summarise(values)
            faster = f"{ratio_of_medians(booted, values).value:.3g}x" if booted else "-"
            rows.append(
                (
                    workload.title,
                    cell.way,
                    f"{summary.median:.2f}",
                    f"{summary.p10:.2f} to {summary.p90:.2f}",
                    faster,
                    str(summary.count),
                    "",
                )
            )
    head = ("function", "path", "median", "10 % to 90 %", "against booted", "n", "note")
    return table(head, rows)


def _others(recording: Recording) -> str:
    accelerator = recording.environment["accelerator"]
    ours = [Cell("nop", path.value, True, "uc") for path in UC_PATHS]
    titles = {cell: f"SEUSS, {cell.way}" for cell in (*ours, Cell("nop", "warm", True))}
    titles = {cell: f"{title} ({accelerator.upper()})" for cell, title in titles.items()}
    titles |= {Cell("nop", name): line_up.title(name, accelerator) for name in (PROCESS, *OTHERS)}
    rows = []
    for cell, title in titles.items():
        values = recording.latencies(cell)
        if not values:
            reason = recording.unavailable.get(cell.name, "no sample")
            rows.append((title, "-", "-", *("-" for _ in ours), "0", reason))
            continue
        summary = summarise(values)
        rows.append(
            (
                title,
                f"{summary.median:.3g}",
                f"{summary.p10:.3g} to {summary.p90:.3g}",
                *(_times(values, recording.latencies(each)) for each in ours),
                str(summary.count),
                "",
            )
        )
    times = (f"it / {cell.way}" for cell in ours)
    return table(("system", "median ms", "10 % to 90 %", *times, "n", "note"), rows)


def _times(above: Sequence[float], below: Sequence[float]) -> str:
    return f"{ratio_of_medians(above, below).value:.3g}x" if below else "-"


def _phases(recording: Recording) -> str:
    rows = []
    for way in WAYS:
        cell = Cell("nop", *way)
        if cell.path == "process" or not recording.latencies(cell):
            continue
        row = [cell.way]
        for name in PHASES:
            values = recording.phase(cell, name)
            row.append(f"{summarise(values).median:.2f}" if values else "-")
        rows.append((*row, f"{summarise(recording.latencies(cell)).median:.2f}"))
    return table(("path", *PHASES, "whole"), rows)


def _papers(recording: Recording) -> str:
    rows = []
    for item, metric, cell in _PAPER_LATENCIES:
        values = recording.latencies(cell)
        rows.append(
            _beside(
                papers.find(item, metric),
                summarise(values).median if values else None,
                cell.isolation,
            )
        )
    for metric, level, ao, function in _PAPER_SIZES:
        size = recording.size(level, ao, function)
        ours = None if size is None else size.stored_pages * PAGE_BYTES / MEGABYTE
        rows.append(_beside(papers.find("Table 1", metric), ours))
    head = ("figure", "ours", "paper", "ours / paper", "status", "source")
    return table(head, rows)


def _beside(
    figure: papers.PaperFigure, ours: float | None, isolation: str = "vm"
) -> tuple[str, ...]:
    return (
        f"{figure.metric} ({isolation})" if isolation != "vm" else figure.metric,
        "not measured" if ours is None else f"{ours:.2f} {figure.unit}",
        f"{figure.value} {figure.unit}",
        "-" if ours is None else f"{ours / figure.number:.3g}",
        figure.status,
        f"{figure.paper}, {figure.item}",
    )


def _problems(recording: Recording) -> str:
    lines = [f"- {name}: {reason}" for name, reason in recording.unavailable.items()]
    lines += [
        f"- round {sample.round}, {sample.cell.name}: {sample.error}"
        for sample in recording.failures()
    ]
    return "\n".join(lines)
