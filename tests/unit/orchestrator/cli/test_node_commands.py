"""`seuss node` without a node."""

from __future__ import annotations

import pathlib

import pytest
from click.testing import CliRunner

from orchestrator.cli import main


@pytest.fixture
def idle(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Runs commands where no node runs."""
    monkeypatch.setenv("SEUSS_RUNTIME", str(tmp_path / "run"))
    return CliRunner()


def test_nothing_to_list(idle: CliRunner) -> None:
    told = idle.invoke(main, ["node", "list"])
    assert told.exit_code == 0 and told.stdout == "" and "no node runs" in told.stderr


@pytest.mark.parametrize("command", ["stop", "status"])
def test_no_such_node(idle: CliRunner, command: str) -> None:
    told = idle.invoke(main, ["node", command, "--name", "absent"])
    assert told.exit_code == 3
    assert "The node absent does not answer" in told.stderr and "seuss node start" in told.stderr


def test_a_name_that_cannot_be(idle: CliRunner) -> None:
    told = idle.invoke(main, ["node", "start", "--name", "../up"])
    assert told.exit_code == 3 and "no node's name" in told.stderr
