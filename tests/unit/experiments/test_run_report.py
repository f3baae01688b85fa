"""report.md and report.html of a whole folder."""

from __future__ import annotations

import pathlib
import re

import pytest

from experiments import run_report, suite
from experiments.promises import Check
from experiments.recording import Recording
from experiments.run_report import Section


def test_report_is_one_file_and_says_it_all(recording: Recording, tmp_path: pathlib.Path) -> None:
    recording.environment |= {"qemu": "7.2", "cpu": "a <b>CPU</b>"}
    state = suite.begin(tmp_path, suite.Scale.QUICK, 3)
    recording.save(tmp_path)
    state.failures["density"] = "no memory"
    state.seconds["latency"] = 90.0
    state.save(tmp_path)
    verdicts = run_report.write(tmp_path)
    assert list(verdicts) == ["latency"]
    text = (tmp_path / "report.md").read_text()
    first, _, rest = text.partition("## ")
    assert first.startswith("# SEUSS: experiments (TCG)\n")
    assert "scale quick, seed 3" in first and "TCG emulates" in first
    assert "hot 2 ms (paper 0.8, second-hand)" in first
    assert "**Promises:** " in first and len(first.strip().splitlines()) <= 12
    assert "| latency | 1.5 | " in rest
    assert "- density: no memory" in rest and "- cores: not run" in rest
    assert "## Latency by path (TCG)" in rest and "### Promises" in rest

    page = (tmp_path / "report.html").read_text()
    sources = re.findall(r'<img src="([^"]+)"', page)
    assert len(sources) == 1 and sources[0].startswith("data:image/png;base64,")
    assert "<table>" in page and "<b>CPU</b>" not in page


def section(name: str, *checks: Check, text: str = "# Title\n\nText.", ran: str = "tcg") -> Section:
    """A section as a report of one experiment makes it."""
    return Section(name, text, checks, {"accelerator": ran, "started": 1.7e9})


def test_what_was_not_measured_is_on_the_first_page() -> None:
    kept, missed = Check("kept", 1.0, "x", 0.5), Check("missed", 1.0, "x", 2.0)
    gone, unsure = Check("gone", 1.0, "x", None), Check("unsure", 1.0, "x", 0.1, unjudged="few")
    failed = "# Title\n\n## What did not work\n\n- all"
    text = run_report.render(
        [section("one", kept, missed), section("two", gone, unsure, text=failed)], None
    )
    assert "of 4, 1 kept, 1 missed, 2 not measured or not judged" in text
    assert "| two | - | 0 of 2 | - | gone: not measured; unsure: few |" in text
    assert "cannot run here in two; the reasons" in text


def test_native_code_is_no_accelerator() -> None:
    text = run_report.render([section("a", ran="none: native code"), section("b")], None)
    assert text.startswith("# SEUSS: experiments (TCG, native code)\n")


def test_each_picture_is_there_once() -> None:
    drawn = section("a", text="# Title\n\nText.\n\n![a](a.png)\n\nMore.")
    text = run_report.render([drawn, section("b")], None)
    assert text.count("](a.png)") == 1 and text.count("](b.png)") == 1


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
