"""The `seuss` command line: one module per group of commands."""

from orchestrator.cli.group import main

__all__ = ["main"]
