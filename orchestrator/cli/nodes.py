"""`seuss node`: keep a node running between commands."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import click

from orchestrator.cli import progress
from orchestrator.cli.options import node_options
from orchestrator.errors import NodeError
from orchestrator.nodes import client as node_client
from orchestrator.nodes.client import NodeClient
from orchestrator.nodes.places import DEFAULT_NAME, NodePlace, place, places
from orchestrator.settings import Settings

PAGES_PER_MIB = 256

_name = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="The node, where several run."
)


@click.group()
def node() -> None:
    """A machine of many unikernel contexts that runs in the background.

    While the node `default` runs, `seuss invoke --isolation uc` with the same image, store,
    accelerator, machine and AO uses it: its idle contexts and snapshots stay between commands.
    """


@node.command()
@_name
@click.option(
    "--network", is_flag=True, help="With a network card, for functions that may reach places."
)
@node_options
def start(name: str, network: bool, settings: Settings) -> None:
    """Start a node and wait until it serves."""
    pid = node_client.start(name, replace(settings, network=network))
    click.echo(f"node {name} runs, process {pid}")


@node.command()
@_name
def stop(name: str) -> None:
    """End a node; its snapshots stay in the store."""
    progress.run(_stop(place(name)))
    click.echo(f"node {name} ended")


@node.command()
@_name
@click.option("--json", "as_json", is_flag=True, help="All there is, as one JSON object.")
def status(name: str, as_json: bool) -> None:
    """What a node holds and has done."""
    told = progress.run(_status(place(name)))
    if as_json:
        click.echo(json.dumps(told))
        return
    kernel = told["kernel"]
    if kernel is None:
        click.echo(f"{told['name']}: its machine ended; the next invocation starts another")
        return
    free = kernel.get("free_frames", 0) // PAGES_PER_MIB
    rows = [
        ("node", told["name"]),
        ("process", f"{told['pid']} (machine {told['machine_pid']})"),
        ("running for", f"{time.time() - told['started']:.0f} s"),
        ("accelerator", told["accelerator"]),
        ("image", told["settings"]["image"]),
        ("memory", f"{told['settings']['memory_mib']} MiB, {free} MiB free"),
        ("contexts", f"{kernel.get('contexts')}, {told['idle']} of them idle"),
        ("snapshots", str(kernel.get("snapshots"))),
        ("invocations", str(told["served"])),
    ]
    for label, value in rows:
        click.echo(f"{label:12} {value}")


@node.command("list")
def list_() -> None:
    """List the nodes that run."""
    found = places()
    if not found:
        click.echo("no node runs", err=True)
    for where in found:
        try:
            told = progress.run(_status(where))
        except NodeError:
            click.echo(f"{where.name}  does not answer: it is starting or ending")
            continue
        memory = told["settings"]["memory_mib"]
        click.echo(f"{where.name}  process {told['pid']}  {memory} MiB  {told['served']} served")


async def _stop(where: NodePlace) -> None:
    async with NodeClient(where) as client:
        await client.stop()


async def _status(where: NodePlace) -> dict[str, Any]:
    async with NodeClient(where) as client:
        return await client.status()
