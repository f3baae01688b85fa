"""`seuss deploy` and `seuss functions`: functions by name."""

from __future__ import annotations

import json
import pathlib
import sys
import time
from dataclasses import replace
from typing import Any

import click

from orchestrator.cli.options import network_option, store_option
from orchestrator.cli.table import columns
from orchestrator.function import Function
from orchestrator.platform.database import Database
from orchestrator.platform.registry import ISOLATIONS, MEMORY_SIZES_MIB, Deployment, Registry
from orchestrator.runtimes import RUNTIMES
from orchestrator.settings import Isolation, Settings
from snapshot_store import SeussError, default_root


def deployed_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Complete a function's name in the shell."""
    try:
        with Database(context.params.get("store") or default_root()) as database:
            return [name for name in Registry(database).names() if name.startswith(begun)]
    except SeussError:
        return []  # the command itself will say what is wrong


@click.command(short_help="Deploy a function under a name.")
@click.argument("file", type=click.Path(path_type=pathlib.Path))
@click.option("--name", default=None, show_default="the file's", help="What it is called by.")
@click.option("--main", default="main", show_default=True, help="The function to call in FILE.")
@click.option(
    "--isolation",
    type=click.Choice(ISOLATIONS),
    default=Deployment.isolation,
    show_default=True,
    help="A unikernel context each in one machine, or a machine per invocation.",
)
@click.option(
    "--timeout",
    type=float,
    default=Settings.timeout_s,
    show_default=True,
    metavar="S",
    help="Seconds that an import or a run may take.",
)
@click.option(
    "--memory",
    type=int,
    default=None,
    show_default="the platform's",
    metavar="MIB",
    help=f"Memory of its machine (isolation vm): {', '.join(map(str, MEMORY_SIZES_MIB))}.",
)
@network_option
@click.option("--new", is_flag=True, help="Refuse to replace a function of that name.")
@click.option(
    "--runtime",
    type=click.Choice(list(RUNTIMES)),
    show_default="by the file",
    help="What the function is written for.",
)
@click.option("--json", "as_json", is_flag=True, help="What was deployed, as one JSON object.")
@store_option
def deploy(
    file: pathlib.Path,
    name: str | None,
    main: str,
    isolation: Isolation,
    timeout: float,
    memory: int | None,
    network: tuple[str, ...],
    new: bool,
    runtime: str | None,
    as_json: bool,
    store: pathlib.Path,
) -> None:
    """Keep the function in FILE under a name.

    FILE is a .py, .js or .mjs file, or a .zip with __main__.py or index.js at its top.

    Call it by `seuss invoke NAME` or, while `seuss serve` runs, by HTTP. Deployed again, it has a
    new version; the snapshots of other code are never used for it.
    """
    function = Function.from_file(file, main, runtime, network)
    if name is not None:
        function = replace(function, name=name)
    deployment = Deployment(function, isolation=isolation, timeout_s=timeout, memory_mib=memory)
    with Database(store) as database:
        entry = Registry(database).put(deployment, replace=not new)
    if as_json:
        click.echo(json.dumps(entry.to_json()))
        return
    click.echo(f"deployed {entry.name}, version {entry.version}, isolation {entry.isolation}")
    click.echo(f"call it: seuss invoke {entry.name} --arg '{{}}'", err=True)


@click.group()
def functions() -> None:
    """The functions deployed by name: list, show, delete."""


@functions.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per function, one a line.")
@store_option
def list_(as_json: bool, store: pathlib.Path) -> None:
    """List all functions by name."""
    with Database(store) as database:
        entries = Registry(database).list()
    if as_json:
        for entry in entries:
            click.echo(json.dumps(entry.to_json()))
        return
    if not entries:
        click.echo("no function is deployed; deploy one with seuss deploy FILE", err=True)
        return
    rows = [("NAME", "VERSION", "ISOLATION", "TIMEOUT", "BYTES", "CHANGED")]
    rows += [
        (
            entry.name,
            str(entry.version),
            entry.isolation,
            f"{entry.timeout_s:g} s",
            str(entry.size),
            _when(entry.changed),
        )
        for entry in entries
    ]
    for line in columns(rows):
        click.echo(line)


@functions.command()
@click.argument("name", shell_complete=deployed_names)
@click.option("--code", is_flag=True, help="Its code and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@store_option
def show(name: str, code: bool, as_json: bool, store: pathlib.Path) -> None:
    """Show all that is known of the function NAME."""
    with Database(store) as database:
        deployed = Registry(database).get(name)
    if code:
        sys.stdout.buffer.write(deployed.deployment.function.code)
        return
    told: dict[str, Any] = deployed.entry.to_json()
    if as_json:
        click.echo(json.dumps(told))
        return
    told |= {each: _when(told[each]) for each in ("created", "changed")}
    told["timeout_s"] = f"{told['timeout_s']:g}"
    told["memory_mib"] = told["memory_mib"] or "the platform's"
    told["network"] = ", ".join(told["network"]) or "none"
    for line in columns([(label, f"{value}") for label, value in told.items()]):
        click.echo(line)


@functions.command()
@click.argument("name", nargs=-1, required=True, shell_complete=deployed_names)
@store_option
def delete(name: tuple[str, ...], store: pathlib.Path) -> None:
    """Forget the functions NAME. Their snapshots go when others need the room."""
    with Database(store) as database:
        registry = Registry(database)
        for each in dict.fromkeys(name):
            registry.delete(each)
            click.echo(f"deleted {each}")


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
