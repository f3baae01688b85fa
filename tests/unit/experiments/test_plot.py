"""The latency plot: both files are drawn, also from a record with holes, and by the module."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest

from experiments.plots import latency, redraw
from experiments.recording import Recording


def test_draws_png_and_pdf(recording: Recording, tmp_path: pathlib.Path) -> None:
    png, pdf = latency.draw(recording, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("path", ["warm", "process", None])
def test_draws_what_there_is(
    recording: Recording, tmp_path: pathlib.Path, path: str | None
) -> None:
    kept = [sample for sample in recording.samples if path and sample.cell.path != path]
    png, _ = latency.draw(replace(recording, samples=kept), tmp_path)
    assert png.stat().st_size > 0


def test_redraws_a_results_folder(
    recording: Recording, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.save(tmp_path)
    assert redraw.main([str(tmp_path)], "latency", Recording.load, latency.draw) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "latency.png"),
        str(tmp_path / "latency.pdf"),
    ]


def test_folder_without_a_record(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redraw.main([str(tmp_path)], "latency", Recording.load, latency.draw) == 2
    assert "no readable latency.json" in capsys.readouterr().err


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert redraw.main([], "latency", Recording.load, latency.draw) == 2
    assert "RESULTS_DIR" in capsys.readouterr().err
