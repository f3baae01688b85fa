"""`seuss qmp`: look into a running machine."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import click
from qemu.qmp import QMPError

from orchestrator.cli import progress
from orchestrator.debugger.call_frames import CallFrames
from orchestrator.debugger.shell import DebugShell
from orchestrator.debugger.symbols import SymbolTable
from orchestrator.errors import DebuggerError
from orchestrator.image import image_mark
from orchestrator.nodes.client import NodeClient
from orchestrator.nodes.places import DEFAULT_NAME, NodePlace, place
from orchestrator.runtimes import default_image

PROGRAM = pathlib.Path("python", "root", "bin", "python")
"""Where the build leaves the guest's interpreter, beside the image."""
EXIT_FAILED = 1


@click.command()
@click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="The node whose machine to look into."
)
@click.option(
    "--socket",
    type=click.Path(path_type=pathlib.Path),
    help="A QMP socket, instead of a node's.",
)
@click.option(
    "--image",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="ELF of the guest's kernel, for symbols.  [default: the node's image]",
)
@click.option(
    "--symbols",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    multiple=True,
    help="Further ELF with symbols or call frames, for code in user mode. May be repeated.",
)
@click.option(
    "--command", "-c", "commands", multiple=True, help="Run this and leave. May be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Each outcome as one JSON object a line.")
def qmp(
    name: str,
    socket: pathlib.Path | None,
    image: pathlib.Path | None,
    symbols: tuple[pathlib.Path, ...],
    commands: tuple[str, ...],
    as_json: bool,
) -> None:
    """A debugging shell on a running node's machine.

    It is qemu.qmp's shell with verbs of its own: regs, mem, pmem, symbol, backtrace, ucs,
    snapshots, dirty, stop, cont, migrate-status; `help` tells what they take. Every QMP command
    works as well, as `name key=value ...`.

    While the guest is stopped its requests wait, and fail once their time is over. One debugger at
    a time can be on a machine. With --command the exit status is 1 if one of them failed.
    """
    where = None
    if socket is None:
        where = place(name)
        socket = where.monitor
    if image is None:
        image = default_image() if where is None else _image_of(where)
    program = image.parent / PROGRAM
    programs = [*symbols, *([program] if program.exists() else [])]
    found = [CallFrames.of_file(path) for path in programs]
    shell = DebugShell(
        socket,
        SymbolTable.of_files([image, *symbols]),
        [each for each in found if each is not None],
        functools.partial(_ask_contexts, where) if where else None,
        as_json,
    )
    with shell:
        shell.attach(interactive=not commands)
        if not commands:
            shell.converse()
            return
        try:
            good = shell.run_commands(list(commands))
        except (QMPError, TimeoutError) as error:
            raise DebuggerError(
                "The machine ended or hangs. Look with seuss node status."
            ) from error
    if not good:
        raise click.exceptions.Exit(EXIT_FAILED)


def _image_of(where: NodePlace) -> pathlib.Path:
    """Return the image a node runs; say so if it was built anew since, and symbols are of that."""
    image, mark = progress.run(_image(where))
    if not image.exists() or image_mark(image) != mark:
        click.echo(f"{image} was built anew since the node started: symbols may be wrong", err=True)
    return image


def _ask_contexts(where: NodePlace) -> Mapping[str, Any]:
    return progress.run(_contexts(where))


async def _image(where: NodePlace) -> tuple[pathlib.Path, list[int]]:
    async with NodeClient(where) as client:
        return await client.image()


async def _contexts(where: NodePlace) -> Mapping[str, Any]:
    async with NodeClient(where) as client:
        return await client.contexts()
