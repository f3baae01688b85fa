"""The latency experiment, cut short, with real QEMU: every cell gives right answers."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from experiments import latency, report
from experiments.plots import latency as plot
from experiments.recording import Cell, Recording
from experiments.requirements import check
from experiments.workloads import NOP
from orchestrator.settings import Settings


def test_one_round(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "DISK_FUNCTIONS", 3)
    plan = latency.Plan(Settings(), rounds=1, quick=True, seed=1)
    stages: list[str] = []
    recording = asyncio.run(latency.run(plan, tmp_path, lambda label, *_: stages.append(label)))

    assert recording.failures() == []
    # Other systems need `make peers`, which these tests do without.
    others = {Cell(NOP.name, name).name for name in latency.OTHERS}
    assert {*recording.unavailable} <= others and all(recording.unavailable.values())
    for cell in latency.cells():
        there = cell.name not in recording.unavailable
        assert len(recording.latencies(cell)) == (latency.times(cell) if there else 0)
    assert recording.disk is not None
    assert recording.disk.functions == 3
    # The disk's promise is of 100 functions, so three are not judged.
    unjudged = [item.promise for item in check(recording) if item.passed is None]
    assert unjudged == ["disk of 100 functions / (base + 100 deltas)"]

    assert Recording.load(tmp_path) == recording
    assert ("What did not work" in report.render(recording)) == bool(recording.unavailable)
    assert all(path.stat().st_size for path in plot.draw(recording, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "latency.csv",
        "latency.json",
        "latency.pdf",
        "latency.png",
    ]
