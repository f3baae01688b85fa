"""latency.md: complete for a whole record, honest for a broken one."""

from __future__ import annotations

from dataclasses import replace

from experiments.recording import Cell, Recording, Sample
from experiments.report import render


def rows(text: str, start: str) -> list[list[str]]:
    """The cells of all table rows whose first cell is `start`."""
    split = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return [row for row in split if row and row[0] == start]


def test_whole_record(recording: Recording) -> None:
    text = render(recording)
    assert "TCG" in text
    assert "4 of 4 rounds" in text
    assert "What did not work" not in text
    assert len(rows(text, "NOP")) == 9
    warm = next(row for row in rows(text, "NOP") if row[1] == "warm")
    assert warm[2:6] == ["21.50", "20.30 to 22.70", "46.6x", "4"]


def test_our_figure_stands_beside_the_papers(recording: Recording) -> None:
    (row,) = rows(render(recording), "cold start latency NOP")
    assert row[1:5] == ["101.50 ms", "7.5 ms", "13.5", "second-hand"]
    (row,) = rows(render(recording), "base snapshot size (Node.js; with AO)")
    assert row[1:3] == ["20.48 MB", "114.5 MB"]


def test_other_systems_stand_beside(recording: Recording) -> None:
    (row,) = rows(render(recording), "container (crun)")
    # Medians of 251.5 ms and, of contexts, 2, 5.5 and 9.5 ms: cold, warm, hot.
    assert row[1:7] == ["252", "250 to 253", "26.5x", "45.7x", "126x", "4"]
    (row,) = rows(render(recording), "Linux microVM, booted (TCG)")
    assert row[6] == "4"
    gone = Cell("nop", "crun")
    kept = [sample for sample in recording.samples if sample.cell != gone]
    broken = replace(recording, samples=kept)
    broken.give_up(gone, "There is no crun.")
    (row,) = rows(render(broken), "container (crun)")
    assert (row[1], row[7]) == ("-", "There is no crun.")


def test_promises_have_verdicts(recording: Recording) -> None:
    (row,) = rows(render(recording), "warm NOP / booted NOP")
    assert row[1:4] == ["at most 0.1 x", "0.02147 x", "pass"]


def test_broken_promise_stands_out(recording: Recording) -> None:
    slow = [replace(sample, phases={"restore": 20.0}) for sample in recording.samples]
    (row,) = rows(render(replace(recording, samples=slow)), "restore step, warm NOP, median")
    assert row[3] == "**FAIL**"


def test_what_is_missing_is_said(recording: Recording) -> None:
    gone = Cell("cpu", "booted")
    kept = [sample for sample in recording.samples if sample.cell != gone]
    broken = replace(recording, samples=kept, sizes=[], disk=None)
    broken.samples.append(Sample(gone, 0, 0, None, error="timeout: after 60 s | really"))
    broken.give_up(gone, "failed 3 times in a row")
    text = render(broken)
    row = next(row for row in rows(text, "CPU-bound") if row[1] == "booted")
    assert row[2:] == ["-", "-", "-", "0", "failed 3 times in a row"]
    assert "- round 0, cpu booted: timeout: after 60 s | really" in text
    assert rows(text, "base snapshot size (Node.js; with AO)")[0][1] == "not measured"


def test_unfinished_record(recording: Recording) -> None:
    assert "0 of 4 rounds" in render(replace(recording, samples=[]))
