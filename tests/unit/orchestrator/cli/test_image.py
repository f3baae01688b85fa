"""`seuss image build`: runs make in the checkout, and says what to do when it cannot."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Sequence

import pytest
from click.testing import CliRunner

import orchestrator.cli.image
from orchestrator.cli import main


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A checkout with a Makefile that writes what it was asked for, or fails for BAD=1."""
    folder = tmp_path / "checkout"
    (folder / "ebbrt_image").mkdir(parents=True)
    (folder / "ebbrt_image" / "Makefile").write_text(
        "all:\n\t@test -z '$(BAD)'\n\t@echo built > ../$(notdir $(BUILD)).log\n"
    )
    monkeypatch.setattr(orchestrator.cli.image, "CHECKOUT", folder)
    return folder


def test_build(runner: CliRunner, checkout: pathlib.Path) -> None:
    done = runner.invoke(main, ["image", "build"])
    assert done.exit_code == 0
    assert done.stdout.strip() == str(checkout / "build" / "ebbrt-python.elf")
    assert (checkout / "build.log").read_text() == "built\n"


def test_failed_build(
    runner: CliRunner, checkout: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD", "1")
    done = runner.invoke(main, ["image", "build"])
    assert done.exit_code == 3
    assert "failed with status 2" in done.stderr
    assert "make setup" in done.stderr


def test_outside_of_a_checkout(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(orchestrator.cli.image, "CHECKOUT", tmp_path)
    done = runner.invoke(main, ["image", "build"])
    assert done.exit_code == 3
    assert "Clone the repository" in done.stderr


def test_without_make(
    runner: CliRunner, checkout: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: Sequence[str], check: bool) -> subprocess.CompletedProcess[bytes]:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(subprocess, "run", run)
    done = runner.invoke(main, ["image", "build"])
    assert done.exit_code == 3
    assert "apt-get install make" in done.stderr
