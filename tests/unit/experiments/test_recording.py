"""The raw record: what is saved is what is read back."""

from __future__ import annotations

import csv
import json
import pathlib
from dataclasses import replace

import pytest

from experiments.recording import Cell, Recording, Sample


def test_saved_record_is_read_back(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.samples.append(Sample(Cell("nop", "booted"), 4, 99, None, error="timeout: late"))
    recording.give_up(Cell("cpu", "warm", ao=False), "it broke")
    recording.save(tmp_path)
    assert Recording.load(tmp_path) == recording


def test_saving_leaves_only_the_two_files(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.save(tmp_path)
    recording.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"latency.json", "latency.csv"}


def test_csv_has_a_row_for_each_sample(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.save(tmp_path)
    with (tmp_path / "latency.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(recording.samples)
    first = recording.samples[0]
    assert float(rows[0]["latency_ms"]) == first.latency_ms
    assert rows[0]["function"] == first.cell.function


def test_failed_samples_do_not_count(recording: Recording) -> None:
    cell = Cell("nop", "warm", ao=True)
    before = recording.latencies(cell)
    recording.samples.append(Sample(cell, 9, 999, None, error="fault: it broke"))
    assert recording.latencies(cell) == before
    assert [sample.order for sample in recording.failures()] == [999]


def test_phase_of_a_path_that_has_none(recording: Recording) -> None:
    assert recording.phase(Cell("nop", "warm", ao=True), "capture") == []
    assert len(recording.phase(Cell("nop", "warm", ao=True), "restore")) == 4


def test_without_disk_cost(recording: Recording, tmp_path: pathlib.Path) -> None:
    unfinished = replace(recording, disk=None)
    unfinished.save(tmp_path)
    assert Recording.load(tmp_path).disk is None


def test_other_formats_are_refused(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.save(tmp_path)
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(ValueError, match="format 1"):
        Recording.load(tmp_path)
