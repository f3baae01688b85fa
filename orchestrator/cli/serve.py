"""`seuss serve`: the platform by HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import pathlib
import resource
import sys
from dataclasses import replace

import click

from orchestrator.cli import progress
from orchestrator.cli.options import node_options
from orchestrator.errors import SettingsError
from orchestrator.gateway.access import Access
from orchestrator.gateway.events import JsonLines, event
from orchestrator.gateway.gateway import DEFAULT_HOST, DEFAULT_PORT, Gateway
from orchestrator.gateway.metrics import Metrics
from orchestrator.network import Reach
from orchestrator.platform.log import Entry
from orchestrator.platform.platform import Platform
from orchestrator.platform.policies import MIB, Policies
from orchestrator.settings import Isolation, Settings

TOKEN_VARIABLE = "SEUSS_TOKEN"


@click.command(short_help="Serve deployed functions by HTTP.")
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True,
    help="Port to listen on; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    default=None,
    help="File with the token that requests must carry; needed for any --host that others reach.",
)
@click.option(
    "--reach",
    type=click.Choice([reach.value for reach in Reach]),
    default=None,
    show_default="all; outside with a token",
    help="Places that clients may give to functions: all, none, or those outside of this machine.",
)
@click.option(
    "--start",
    type=click.Choice(("uc", "vm")),
    multiple=True,
    help="Start this isolation before listening, not with its first request.",
)
@click.option(
    "--contexts",
    type=int,
    default=Policies.contexts,
    show_default=True,
    metavar="N",
    help="Invocations that run at once with isolation uc.",
)
@click.option(
    "--machines",
    type=int,
    default=None,
    show_default="two a processor",
    metavar="N",
    help="Invocations that run at once with isolation vm.",
)
@click.option(
    "--queue",
    type=int,
    default=Policies.queue,
    show_default=True,
    metavar="N",
    help="Invocations that may wait, for each isolation; further ones get 429.",
)
@click.option(
    "--snapshot-budget",
    type=int,
    default=Policies.snapshot_budget // MIB,
    show_default=True,
    metavar="MIB",
    help="Snapshots kept on disk; beyond that the least useful go.",
)
@click.option(
    "--hot-per-function",
    type=int,
    default=Settings.hot_per_function,
    show_default=True,
    metavar="N",
    help="Idle contexts kept of one function.",
)
@click.option(
    "--hot-total",
    type=int,
    default=Settings.hot_total,
    show_default=True,
    metavar="N",
    help="Idle contexts kept in all.",
)
@click.option(
    "--hot-idle",
    type=float,
    default=Settings.hot_idle_s,
    show_default=True,
    metavar="S",
    help="Seconds after which an unused idle context is ended.",
)
@node_options
def serve(
    host: str,
    port: int,
    token_file: pathlib.Path | None,
    reach: str | None,
    start: tuple[Isolation, ...],
    contexts: int,
    machines: int | None,
    queue: int,
    snapshot_budget: int,
    hot_per_function: int,
    hot_total: int,
    hot_idle: float,
    settings: Settings,
) -> None:
    """Serve the deployed functions by HTTP until Ctrl-C or SIGTERM.

    On stdout comes one line with the address; on stderr one JSON object for each event. --memory is
    that of the machine that all contexts share (isolation uc). The page is at /, the description of
    all requests at /openapi.json.

    \b
    With another program:
      curl -X PUT --data-binary @hello.py -H 'Content-Type: text/x-python' \\
           http://127.0.0.1:8080/functions/hello
      curl -d '{"name": "Ada"}' http://127.0.0.1:8080/functions/hello/invoke

    \b
    OpenWhisk's clients find actions and activations under /api/v1; their key is the token:
      wsk --apihost http://127.0.0.1:8080 --auth seuss:TOKEN action invoke hello --result
    """
    policies = Policies(
        contexts=contexts,
        queue=queue,
        snapshot_budget=snapshot_budget * MIB,
        **({} if machines is None else {"machines": machines}),
    )
    settings = replace(
        settings,
        hot_per_function=hot_per_function,
        hot_total=hot_total,
        hot_idle_s=hot_idle,
    )
    token = _token(token_file)
    Access(host, token)  # a mistake shows before anything is started
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    limit = None if reach is None else Reach(reach)
    progress.run(_serve(host, port, token, limit, start, policies, settings))


async def _serve(
    host: str,
    port: int,
    token: str | None,
    reach: Reach | None,
    start: tuple[Isolation, ...],
    policies: Policies,
    settings: Settings,
) -> None:
    allow_connections()
    metrics = Metrics()

    def ended(entry: Entry) -> None:
        metrics.invocation(entry)
        error = entry.invocation.error
        event(
            "invocation",
            invocation=entry.id,
            function=entry.function,
            version=entry.version,
            isolation=entry.isolation,
            path=entry.invocation.path.value,
            ms=round(entry.invocation.latency_ms, 3),
            error=None if error is None else error.kind,
        )

    platform = Platform(settings, policies, memory_mib={"uc": settings.memory_mib}, listener=ended)
    async with platform:
        for isolation in start:
            await platform.dispatchers.default(isolation)
        async with Gateway(platform, metrics, host, port, token, reach=reach) as gateway:
            click.echo(f"serving on {gateway.url}")
            sys.stdout.flush()
            await asyncio.get_running_loop().create_future()


def allow_connections() -> None:
    """Have as many descriptors as may be: each connection is one, and machines have their own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _token(file: pathlib.Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Cannot read the token in {file}: {error}.") from error
    if not token:
        raise SettingsError(f"{file} is empty. Put a token into it.")
    return token
