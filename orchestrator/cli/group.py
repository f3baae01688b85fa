"""The `seuss` command itself: its manual page, exit statuses, and how errors are shown."""

from __future__ import annotations

import asyncio
import shlex
from importlib.metadata import entry_points, version

import click

from orchestrator.cli.completion import completion
from orchestrator.cli.doctor import doctor
from orchestrator.cli.functions import deploy, functions
from orchestrator.cli.image import image
from orchestrator.cli.invoke import invoke
from orchestrator.cli.logs import logs
from orchestrator.cli.micro import micro
from orchestrator.cli.nodes import node
from orchestrator.cli.qmp import qmp
from orchestrator.cli.serve import serve
from orchestrator.cli.snapshots import snapshots
from orchestrator.errors import (
    DeploymentError,
    FunctionFileError,
    NetworkError,
    SettingsError,
    UnknownFunctionError,
    UnknownInvocationError,
)
from snapshot_store.errors import HasChildrenError, SeussError, UnknownSnapshotError

PLUGIN_GROUP = "seuss.commands"
"""Entry points of this group are further commands; so `experiments` needs no import from here."""

MISTAKES = (
    FunctionFileError,
    NetworkError,
    SettingsError,
    DeploymentError,
    UnknownFunctionError,
    UnknownInvocationError,
    UnknownSnapshotError,
    HasChildrenError,
)
"""Errors that only the user can mend; all others are the platform's."""

EXIT_USAGE = 2
EXIT_PLATFORM = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class SeussGroup(click.Group):
    """A group that finds plugged-in commands and turns SeussErrors into messages."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name the built-in commands in the order of a first session, then the plugged-in ones."""
        return [*self.commands, *sorted(entry_points(group=PLUGIN_GROUP).names)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of that name; a plugged-in one is imported only now."""
        found = super().get_command(context, name)
        if found is not None:
            return found
        for entry in entry_points(group=PLUGIN_GROUP, name=name):
            command = entry.load()
            if isinstance(command, click.Command):
                return command
        return None

    def invoke(self, context: click.Context) -> object:
        """Run the command; show an expected error as text and end with its documented status."""
        try:
            return super().invoke(context)
        except SeussError as error:
            show_error(error)
            context.exit(EXIT_USAGE if isinstance(error, MISTAKES) else EXIT_PLATFORM)
        except KeyboardInterrupt:
            click.echo("seuss: interrupted", err=True)
            context.exit(EXIT_INTERRUPTED)
        except asyncio.CancelledError:
            click.echo("seuss: terminated", err=True)
            context.exit(EXIT_TERMINATED)


def show_error(error: SeussError) -> None:
    """Write an error to stderr: the message, then the command and the log's tail if it has them."""
    click.echo(f"seuss: {error.message}", err=True)
    if error.command:
        click.echo(f"  command: {shlex.join(error.command)}", err=True)
    if error.log_tail:
        click.echo("  last lines of its log:", err=True)
        for line in error.log_tail.rstrip().splitlines():
            click.echo(f"    {line}", err=True)


@click.group(cls=SeussGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("seuss"), prog_name="seuss")
def main() -> None:
    """Answer Python functions from snapshots of unikernels.

    A function is a file with `main(args: dict) -> dict`. SEUSS boots an interpreter in a unikernel
    once, captures it (the base snapshot), captures each function once it is imported (a small
    delta), and serves every later call from the deepest snapshot that fits.

    \b
    First steps:
      seuss doctor                              what this machine can do
      seuss image build                         build the guest image
      seuss invoke hello.py --arg '{"n": 1}'    first call: cold; later calls: warm
      seuss snapshots tree                      what has been captured
      seuss deploy hello.py                     keep it under the name hello: seuss invoke hello
      seuss serve                               answer it by HTTP, with a page at port 8080

    \b
    Exit status:
      0    done; every function invoked gave a result
      1    a function failed (its error is in the output)
      2    wrong usage: an option, a function file or a setting
      3    the platform failed (QEMU, the image, the snapshot store), or `doctor` or
           `snapshots verify` found a fault
      130  interrupted by Ctrl-C
      143  ended by SIGTERM

    \b
    Environment:
      SEUSS_IMAGE    the guest image, instead of build/ebbrt-python.elf of the checkout
      SEUSS_STORE    the snapshot store, instead of seuss in $XDG_DATA_HOME (~/.local/share)
      SEUSS_TOKEN    the token of `seuss serve`, instead of --token-file
      SEUSS_RUNTIME  folder of running nodes, instead of seuss in $XDG_RUNTIME_DIR
    """


COMMANDS = (
    *(doctor, image, invoke, deploy, functions, logs, serve),
    *(node, qmp, snapshots, micro, completion),
)
"""In the order of a first session."""

for command in COMMANDS:
    main.add_command(command)
