"""The record of dirty-tracking, its report and its plot, on made-up samples."""

from __future__ import annotations

import pathlib
import struct
from dataclasses import replace

import pytest

from experiments import dirty_report
from experiments.dirty_record import DirtyTracking, Sample
from experiments.dirty_tracking import image_frames, own_pages
from experiments.plots import dirty_tracking as plot
from orchestrator.errors import CaptureError

SAMPLE = Sample(
    "nop",
    0,
    sets={
        "pagemap": [(10, 6)],
        "bytes": [(10, 5)],
        "bitmap": [(10, 7)],
        "walk": [(10, 3)],
    },
    mapped=[(10, 3), (40, 2)],
    tables=[(13, 1)],
    kernel=[(14, 1)],
    times_ms={"walk": 0.5, "walk again": 0.4, "bitmap": 9.0, "pagemap": 3.0, "bytes": 800.0},
)


def record(*samples: Sample) -> DirtyTracking:
    facts = {"accelerator": "tcg", "started": 1.7e9}
    return DirtyTracking(facts, 1, False, list(samples))


def test_record_survives_the_disk(tmp_path: pathlib.Path) -> None:
    made = record(SAMPLE, Sample("echo", 0, error="CaptureError: it ended"))
    made.save(tmp_path)
    read = DirtyTracking.load(tmp_path)
    assert [each.owners() for each in read.good()] == [SAMPLE.owners()]
    assert dirty_report.render(read) == dirty_report.render(made)
    lines = (tmp_path / "dirty-tracking.csv").read_text().splitlines()
    assert lines[0] == "function,round,way,frames,pages,tables,kernel,rest,ms"
    assert lines[1] == "nop,0,walk,3,3,0,0,0,0.5000"
    assert lines[-1] == "nop,0,bytes,5,3,1,1,0,800.0000"


def test_every_promise_is_kept_and_said_so() -> None:
    checks = dirty_report.check(record(SAMPLE))
    assert [item.passed for item in checks] == [True] * 5
    text = dirty_report.render(record(SAMPLE, Sample("echo", 0, error="it ended")))
    assert "**FAIL**" not in text
    assert "| NOP | QEMU's migration bitmap | 7 | 3 | 1 | 1 | 2 |" in text
    assert "- echo, round 0: it ended" in text


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SAMPLE, sets=SAMPLE.sets | {"walk": [(11, 2)]}), 0),
        (replace(SAMPLE, harmed=[(40, 1)]), 1),
        (replace(SAMPLE, strange=1), 2),
        (replace(SAMPLE, sets=SAMPLE.sets | {"bitmap": [(11, 7)]}), 3),
        (replace(SAMPLE, sets=SAMPLE.sets | {"pagemap": [(11, 7)]}), 4),
    ],
)
def test_one_broken_sample_fails_its_promise(broken: Sample, place: int) -> None:
    checks = dirty_report.check(record(SAMPLE, broken))
    assert [item.passed for item in checks] == [index != place for index in range(5)]
    assert "**FAIL**" in dirty_report.render(record(SAMPLE, broken))


def test_nothing_measured_is_no_pass() -> None:
    empty = record(Sample("nop", 0, error="it ended"))
    assert [item.passed for item in dirty_report.check(empty)] == [None] * 5
    assert "not measured" in dirty_report.render(empty)


@pytest.mark.parametrize("samples", [(SAMPLE, replace(SAMPLE, function="imports")), ()])
def test_plot(samples: tuple[Sample, ...], tmp_path: pathlib.Path) -> None:
    drawn = plot.draw(record(*samples), tmp_path)
    assert [path.name for path in drawn] == ["dirty-tracking.png", "dirty-tracking.pdf"]
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_exported_pages() -> None:
    payload = struct.pack("<I3s4Q", 3, b"abc", 7, 70, 9, 2**64 - 1)
    assert own_pages(payload) == {7: 70, 9: 2**64 - 1}
    with pytest.raises(CaptureError, match="makes no sense"):
        own_pages(payload[:-1])


def test_frames_of_an_image() -> None:
    head = bytearray(64)
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 56, 2)
    note = struct.pack("<IIQQQQQQ", 4, 0, 0, 0, 0x9000, 10, 10, 0)
    load = struct.pack("<IIQQQQQQ", 1, 0, 0, 0, 0x3800, 10, 0x1000, 0)
    assert image_frames(bytes(head) + note + load) == {3, 4}
