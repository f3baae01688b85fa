"""The command itself: its manual, plugged-in commands, interruption."""

from __future__ import annotations

import asyncio

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.cli.group import SeussGroup


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command below a group."""
    found = [path]
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found += commands(command, (*path, name))
    return found


def test_every_command_of_the_manual_is_there() -> None:
    assert set(commands(main)) >= {
        ("doctor",),
        ("image", "build"),
        ("invoke",),
        *(("snapshots", name) for name in ("list", "tree", "show", "verify", "delete")),
        ("experiments", "run", "latency"),
    }


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_explains_itself(runner: CliRunner, words: tuple[str, ...]) -> None:
    done = runner.invoke(main, [*words, "--help"])
    assert done.exit_code == 0
    # The lines behind "Usage:": a command without a text of its own starts with its options.
    text = done.stdout.split("\n\n")[1]
    assert text.strip().endswith((".", ":"))


def test_help_documents_exit_statuses(runner: CliRunner) -> None:
    text = runner.invoke(main, ["--help"]).stdout
    for status in ("0 ", "1 ", "2 ", "3 ", "130", "143"):
        assert f"\n    {status}" in text


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt, 130), (asyncio.CancelledError, 143)]
)
def test_interruption_has_a_status_of_its_own(
    raised: type[BaseException], status: int, runner: CliRunner
) -> None:
    @click.group(cls=SeussGroup)
    def group() -> None:
        """Stands in for the real one."""

    @group.command()
    def stop() -> None:
        raise raised

    assert runner.invoke(group, ["stop"]).exit_code == status


def test_unknown_command(runner: CliRunner) -> None:
    done = runner.invoke(main, ["restart"])
    assert done.exit_code == 2
    assert "No such command 'restart'" in done.stderr
