"""`seuss logs`: what functions printed and how their invocations ended."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import click

from orchestrator.cli.functions import deployed_names
from orchestrator.cli.options import store_option
from orchestrator.cli.terminal import printable
from orchestrator.platform.database import Database
from orchestrator.platform.log import MOST_IN_ALL, Log

FOLLOW_S = 0.25


@click.command(short_help="What functions printed and how they ended.")
@click.argument("name", required=False, shell_complete=deployed_names)
@click.option("--id", default=None, help="Only the invocation of this id.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, MOST_IN_ALL),
    default=20,
    show_default=True,
    metavar="N",
    help="The last N invocations.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per invocation, one a line.")
@store_option
def logs(
    name: str | None,
    id: str | None,
    lines: int,
    follow: bool,
    as_json: bool,
    store: pathlib.Path,
) -> None:
    """Show the last invocations of the function NAME, or of all.

    Invocations of deployed functions are logged, whoever made them: `seuss invoke NAME`, or HTTP.
    Of each function the last 1000 are kept.
    """
    if follow and id is not None:
        raise click.UsageError("--follow waits for new invocations; --id names a past one.")
    with Database(store) as database:
        log = Log(database)
        if id is not None:
            _show(log.get(id), as_json)
            return
        seen = 0
        found = log.list(name, lines)
        if not found and not follow:
            what = "no invocation" if name is None else f"no invocation of {name}"
            click.echo(f"{what} is in the log; make one with seuss invoke NAME", err=True)
        while True:
            for serial, record in found:
                seen = serial
                _show(record, as_json)
            if not follow:
                return
            time.sleep(FOLLOW_S)
            found = log.list(name, MOST_IN_ALL, after=seen)


def _show(record: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(record))
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["time"]))
    error = record.get("error")
    ended = "ok" if error is None else printable(f"{error['kind']}: {error['message']}")
    click.echo(
        f"{when}  {record['id']}  {record['function']}  {record['path']}  "
        f"{record['latency_ms']:.1f} ms  {ended}"
    )
    for stream in ("stdout", "stderr"):
        for line in record[stream].splitlines():
            click.echo(f"  {stream}: {printable(line)}")
        if record[f"{stream}_truncated"]:
            click.echo(f"  {stream}: [cut here: it was too long]")
    if error is not None and error["traceback"]:
        for line in error["traceback"].rstrip().splitlines():
            click.echo(f"  {printable(line)}")
