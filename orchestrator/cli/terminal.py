"""What functions say, on terminals: nothing in it may steer them."""

from __future__ import annotations

import sys
from typing import TextIO

import click


def printable(text: str) -> str:
    """Return text without what would steer a terminal: functions print what they like."""
    return "".join(
        letter if letter.isprintable() or letter == "\t" else ascii(letter)[1:-1] for letter in text
    )


def shown(text: str, stream: TextIO) -> str:
    """Return lines as they go to a stream: as they are, but for a terminal printable."""
    return "\n".join(map(printable, text.split("\n"))) if stream.isatty() else text


def tell(text: str, newline: bool = True) -> None:
    """Write what a function said to stderr."""
    click.echo(shown(text, sys.stderr), err=True, nl=newline)
