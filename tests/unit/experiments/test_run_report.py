"""report.md and report.html of a whole folder."""

from __future__ import annotations

import pathlib
import re

import pytest

from experiments import run_report, suite
from experiments.recording import Recording


def test_report_is_one_file_and_says_it_all(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.environment |= {"qemu": "7.2", "cpu": "a <b>CPU</b>"}
    recording.save(tmp_path)
    state = suite.begin(tmp_path, suite.Scale.QUICK, 3)
    state.failures["density"] = "no memory"
    state.save(tmp_path)
    verdicts = run_report.write(tmp_path)
    assert list(verdicts) == ["latency"]
    text = (tmp_path / "report.md").read_text()
    first, _, rest = text.partition("## ")
    assert first.startswith("# SEUSS: experiments (TCG)\n")
    assert "scale quick, seed 3" in first and "TCG emulates" in first
    assert "hot 2 ms (paper 0.8, second-hand)" in first
    assert "**Promises:** " in first and len(first.strip().splitlines()) <= 12
    assert "| latency | " in rest
    assert "- density: no memory" in rest and "- cores: not run" in rest
    assert "## Latency by path (TCG)" in rest and "### Promises" in rest

    page = (tmp_path / "report.html").read_text()
    sources = re.findall(r'<img src="([^"]+)"', page)
    assert len(sources) == 1 and sources[0].startswith("data:image/png;base64,")
    assert "<table>" in page and "<b>CPU</b>" not in page


def test_pictures_come_from_the_folder_alone(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    page = run_report.to_html("# t\n\n![x](../secret.png)\n", folder)
    assert "data:" not in page


def test_unreadable_raw_data_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cores.json").write_text("{}")
    with pytest.raises(ValueError, match=r"cores\.json is not readable"):
        run_report.write(tmp_path)


def test_nothing_measured() -> None:
    assert "Nothing was measured" in run_report.render([], None)
