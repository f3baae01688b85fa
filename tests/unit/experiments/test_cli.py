"""`seuss experiments report`: results from a record, also of a run that was cut off."""

from __future__ import annotations

import pathlib

import pytest
from click.testing import CliRunner

from experiments.recording import Recording
from orchestrator.cli import main


def test_report_of_a_record(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.disk = None
    recording.save(tmp_path)
    done = CliRunner().invoke(main, ["experiments", "report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "pass warm NOP / booted NOP: 0.0215 x (at most 0.1 x)" in done.stdout
    assert "-    disk of 100 functions" in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"latency.{suffix}" for suffix in ("json", "csv", "png", "pdf")} | {
        *("latency.md", "report.md", "report.html")
    }


def test_folder_without_a_record(tmp_path: pathlib.Path) -> None:
    done = CliRunner().invoke(main, ["experiments", "report", str(tmp_path)])
    assert done.exit_code == 2
    assert "none of snapshots.json, latency.json, density.json" in " ".join(done.stderr.split())


def test_results_of_another_run_are_not_written_over(
    recording: Recording, tmp_path: pathlib.Path
) -> None:
    recording.save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = CliRunner().invoke(main, ["experiments", "run", "latency", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds the results of another run" in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = str(tmp_path / "file" / "results")
    done = CliRunner().invoke(main, ["experiments", "run", "latency", "--out", folder])
    assert done.exit_code == 2
    assert "cannot be made (Not a directory)" in done.stderr


@pytest.mark.parametrize(
    "experiment", ["density", "dirty-tracking", "cores", "snapshots", "sharing", "arguments"]
)
def test_no_experiment_writes_over_another_run(tmp_path: pathlib.Path, experiment: str) -> None:
    raw = tmp_path / f"{experiment}.json"
    raw.write_text("{}")
    command = ["experiments", "run", experiment, "--out", str(tmp_path)]
    if experiment == "density":
        command += ["--isolation", "uc"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "holds the results of another run" in done.stderr
    assert raw.read_text() == "{}"
