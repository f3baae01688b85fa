"""What the latency experiment must show, computed from a record: value, limit, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from experiments.promises import Check
from experiments.recording import Cell, Recording
from experiments.summary import ratio_of_medians

PAGE_BYTES = 4096
MEGABYTE = 1e6
DISK_SLACK = 1.1
"""Manifests, indexes, file-system rounding and the catalogue may add a tenth to the page data."""

BOOTED = Cell("nop", "booted")
COLD = Cell("nop", "cold", ao=True)
WARM = Cell("nop", "warm", ao=True)
PROCESS = Cell("nop", "process")
UC_COLD = Cell("nop", "cold", ao=True, isolation="uc")
UC_WARM = Cell("nop", "warm", ao=True, isolation="uc")
UC_HOT = Cell("nop", "hot", ao=True, isolation="uc")
JS = "js"
NOP_JS = "nop_js"
JS_BASE_MB = 4.0
JS_FUNCTION_MB = 0.3


def check(recording: Recording) -> list[Check]:
    """Judge the record by every promise, in the order of the issue."""
    return [
        _ratio("warm NOP / booted NOP", 0.1, recording, WARM),
        _ratio("cold NOP / booted NOP", 0.2, recording, COLD),
        _restore_step(recording),
        _size("NOP function snapshot", 1.0, recording, "function", "nop"),
        _size("base snapshot, stored pages", 40.0, recording, "base", None),
        _disk(recording),
        _ratio("hot NOP (uc) / native process", 0.2, recording, UC_HOT, PROCESS),
        _ratio("warm NOP (uc) / native process", 0.5, recording, UC_WARM, PROCESS),
        _ratio("cold NOP (uc) / native process", 1.0, recording, UC_COLD, PROCESS),
        *(
            _ratio(f"{cell.path} NOP (uc), JavaScript / Python", 1.0, recording, of_js(cell), cell)
            for cell in (UC_HOT, UC_WARM, UC_COLD)
        ),
        _js_size("base snapshot, JavaScript (vm)", JS_BASE_MB, recording, "base", "vm"),
        _js_size("base snapshot, JavaScript (uc)", JS_BASE_MB, recording, "base", "uc"),
        _js_size("NOP function snapshot, JavaScript (vm)", JS_FUNCTION_MB, recording, NOP_JS, "vm"),
        _js_size("NOP function snapshot, JavaScript (uc)", JS_FUNCTION_MB, recording, NOP_JS, "uc"),
    ]


def of_js(cell: Cell) -> Cell:
    """Return the cell of the same function in JavaScript."""
    return replace(cell, function=f"{cell.function}_{JS}")


def _js_size(promise: str, limit: float, recording: Recording, what: str, isolation: str) -> Check:
    """Judge the base snapshot, or that of the function named `what`, by all that is stored."""
    level, function = ("base", None) if what == "base" else ("function", what)
    size = recording.size(level, True, function, isolation, JS)
    if size is None:
        return Check(promise, limit, "MB", None)
    detail = f"{size.stored_pages} pages of 4 KiB"
    return Check(promise, limit, "MB", size.stored_bytes / MEGABYTE, detail)


def _ratio(
    promise: str, limit: float, recording: Recording, cell: Cell, to: Cell = BOOTED
) -> Check:
    above, below = recording.latencies(cell), recording.latencies(to)
    if not above or not below:
        return Check(promise, limit, "x", None)
    ratio = ratio_of_medians(above, below, recording.seed)
    detail = f"{np.median(above):.1f} ms / {np.median(below):.1f} ms; {ratio.told}"
    return Check(promise, limit, "x", ratio.value, detail)


def _restore_step(recording: Recording) -> Check:
    promise = "restore step, warm NOP, median"
    steps = recording.phase(WARM, "restore")
    if not steps:
        return Check(promise, 10.0, "ms", None)
    return Check(promise, 10.0, "ms", float(np.median(steps)), _range(steps))


def _size(
    promise: str, limit: float, recording: Recording, level: str, function: str | None
) -> Check:
    size = recording.size(level, ao=True, function=function)
    if size is None:
        return Check(promise, limit, "MB", None)
    pages = size.stored_pages * PAGE_BYTES / MEGABYTE
    if level == "base":
        return Check(promise, limit, "MB", pages, f"{size.stored_pages} pages of 4 KiB")
    total = size.stored_bytes / MEGABYTE
    return Check(promise, limit, "MB", total, f"of it {pages:.2f} MB of pages, rest device state")


def _disk(recording: Recording) -> Check:
    promise = "disk of 100 functions / (base + 100 deltas)"
    disk = recording.disk
    if disk is None or disk.functions < 100:
        return Check(promise, DISK_SLACK, "x", None)
    value = disk.total_bytes / (disk.base_bytes + disk.delta_bytes)
    detail = (
        f"{disk.total_bytes / MEGABYTE:.1f} MB on disk for {disk.functions} functions; base "
        f"{disk.base_bytes / MEGABYTE:.1f} MB; as full copies {disk.full_bytes / MEGABYTE:.0f} MB"
    )
    return Check(promise, DISK_SLACK, "x", value, detail)


def _range(values: Sequence[float]) -> str:
    p10, p90 = np.percentile(values, [10, 90])
    return f"10th to 90th percentile {p10:.1f} to {p90:.1f} ms, n = {len(values)}"
