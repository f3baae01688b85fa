"""`seuss completion`: what a shell needs to complete commands, options and functions' names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "seuss"
VARIABLE = "_SEUSS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    For good, add to the shell's start-up file:
      bash   eval "$(seuss completion bash)"
      zsh    eval "$(seuss completion zsh)"
      fish   seuss completion fish | source
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, PROGRAM, VARIABLE).source())
