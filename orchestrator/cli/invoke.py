"""`seuss invoke`: call a function."""

from __future__ import annotations

import json
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol, TypeVar

import click

from orchestrator.cli import progress
from orchestrator.cli.options import settings_options
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.micro.dispatcher import MicroDispatcher
from orchestrator.micro.function import RustFunction
from orchestrator.micro.settings import MicroSettings, usual_cores
from orchestrator.nodes.client import NodeClient, running_node
from orchestrator.paths import Path
from orchestrator.settings import Settings, checked_timeout
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher


def json_object(context: click.Context, param: click.Parameter, value: str) -> dict[str, Any]:
    """Read a JSON object given as text or as @FILE; BadParameter says what is wrong with it."""
    text = value
    if value.startswith("@"):
        try:
            text = pathlib.Path(value[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"cannot read {value[1:]}: {error}") from error
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"this is no JSON ({error}): {_shortened(text)}") from error
    if not isinstance(parsed, dict):
        raise click.BadParameter(
            "a function's arguments are a JSON object, as in '{\"n\": 1}'; this is not: "
            f"{_shortened(text)}"
        )
    return parsed


@click.command(short_help="Call a function.")
@click.argument("file", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--arg",
    "arguments",
    callback=json_object,
    default="{}",
    show_default=True,
    metavar="JSON|@FILE",
    help="The arguments: a JSON object.",
)
@click.option(
    "--path",
    type=click.Choice([path.value for path in Path]),
    default=Path.AUTO.value,
    show_default=True,
    help="What to start from; auto takes the deepest snapshot that fits.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=Settings.timeout_s,
    show_default=True,
    metavar="S",
    help="Seconds that one invocation may run.",
)
@click.option("--main", default="main", show_default=True, help="The function to call in FILE.")
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Invoke N times, one after another.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per invocation, one a line.")
@settings_options
def invoke(
    file: pathlib.Path,
    arguments: dict[str, Any],
    path: str,
    timeout: float,
    main: str,
    repeat: int,
    as_json: bool,
    settings: Settings,
) -> None:
    """Call the function in FILE: a .py file, or a .zip with __main__.py.

    With --isolation language FILE is a .rs file, as `seuss micro build` takes it; --memory is then
    the heap of one call, and of the paths there are cold (load the library) and warm.

    The result goes to stdout as JSON; what the function printed, its error, and a line about time
    go to stderr. The first call takes the snapshots that are missing, later ones start from them.

    \b
    Paths:
      booted  boot the image, start the interpreter, import the function
      cold    start from the base snapshot, import the function, capture its snapshot
      warm    start from the function's snapshot
      hot     run in an idle context of the function (--isolation uc only)
      auto    the last of these that is possible

    \b
    With --json each line has: path, isolation, result or error (kind, message, traceback), stdout,
    stderr, latency_ms, phases in ms (spawn, restore, deploy, import, capture, run; null
    where the path has no such phase), pooled, snapshot, accelerator. With --isolation uc, snapshot
    is null until the function's is stored, which is after the first answer.

    The exit status is 1 if any invocation gave an error; the others are made all the same.
    """
    checked_timeout(timeout)
    call = Call(arguments, Path(path), timeout, repeat, as_json)
    if settings.isolation == "language":
        workers = MicroSettings(usual_cores(), arena_mib=settings.memory_mib)
        ok = progress.run(call.make(MicroDispatcher(workers), RustFunction.from_file(file)))
    else:
        ok = progress.run(_on_unikernels(settings, Function.from_file(file, main), call))
    if not ok:
        sys.exit(1)


F = TypeVar("F", Function, RustFunction, contravariant=True)


class Dispatcher(Protocol[F]):
    """What a command needs of a dispatcher, whatever the isolation."""

    async def ensure_base(self) -> object:
        """Have what functions start from."""

    async def starting_point(self, function: F) -> Path:
        """Return the path that a call would take now."""

    async def prepare(self, count: int, path: Path = ...) -> None:
        """Have so much ready for calls on that path."""

    async def invoke(
        self, function: F, args: Mapping[str, Any], path: Path = ..., timeout_s: float | None = ...
    ) -> Invocation:
        """Call a function."""


@dataclass(frozen=True)
class Call:
    """What a user asks for: arguments, path, how often, and how it is shown."""

    arguments: dict[str, Any]
    path: Path
    timeout_s: float
    repeat: int
    as_json: bool

    async def make(
        self, dispatcher: AbstractAsyncContextManager[Dispatcher[F]], function: F, pool: int = 0
    ) -> bool:
        """Invoke, show each outcome, and return whether all gave a result."""
        latencies: list[float] = []
        failed = 0
        name = function.name
        async with dispatcher as orchestrator:
            if self.path is not Path.BOOTED:
                async with progress.activity("taking the base snapshot, once for this image"):
                    await orchestrator.ensure_base()
            bar = progress.Progress(f"invoking {name}", self.repeat)
            for _ in range(self.repeat):
                start = self.path
                if start is Path.AUTO:
                    start = await orchestrator.starting_point(function)
                # Calls one after another outrun the pool; a caller's pauses would let it fill.
                await orchestrator.prepare(pool, start)
                async with progress.activity(f"invoking {name}"):
                    invocation = await orchestrator.invoke(
                        function, self.arguments, self.path, self.timeout_s
                    )
                latencies.append(invocation.latency_ms)
                failed += not invocation.ok
                bar.close()
                _show(invocation, self.as_json)
                if self.repeat > 1:
                    bar.show(len(latencies))
            bar.close()
        if self.repeat > 1 and not self.as_json:
            _summarise(latencies, failed)
        return not failed


async def _on_unikernels(settings: Settings, function: Function, call: Call) -> bool:
    # Calls come one after another: more machines would only be made beside them, not for them.
    pool = min(settings.pool_size, 1)
    dispatcher = await _dispatcher(replace(settings, pool_size=pool))
    return await call.make(dispatcher, function, pool)


async def _dispatcher(settings: Settings) -> VmDispatcher | UcDispatcher | NodeClient:
    if settings.isolation == "vm":
        return VmDispatcher(settings)
    return await running_node(settings) or UcDispatcher(settings)


def _show(invocation: Invocation, as_json: bool) -> None:
    if as_json:
        click.echo(_as_text(invocation.to_json()))
        return
    for text, truncated in (
        (invocation.stdout, invocation.stdout_truncated),
        (invocation.stderr, invocation.stderr_truncated),
    ):
        if text:
            click.echo(text, err=True, nl=not text.endswith("\n"))
        if truncated:
            click.echo("[output cut here: it was too long]", err=True)
    if invocation.error is None:
        click.echo(_as_text(invocation.result, indent=2))
    else:
        error = invocation.error
        if error.traceback:
            click.echo(error.traceback.rstrip(), err=True)
        click.echo(f"seuss: the function failed: {error.kind}: {error.message}", err=True)
    click.echo(_time_line(invocation), err=True)


def _time_line(invocation: Invocation) -> str:
    digits = 3 if invocation.isolation == "language" else 1
    phases = ", ".join(
        f"{name} {value:.{digits}f}"
        for name, value in invocation.phases.to_json().items()
        if value is not None
    )
    line = f"{invocation.path} in {invocation.latency_ms:.{digits}f} ms"
    if phases:
        line += f" ({phases})"
    line += f" on {invocation.accelerator}"
    if invocation.snapshot:
        line += f", snapshot {invocation.snapshot}"
    return line


def _summarise(latencies: Sequence[float], failed: int) -> None:
    click.echo(
        f"{len(latencies)} invocations, {failed} failed; ms: min {min(latencies):.1f}, "
        f"median {statistics.median(latencies):.1f}, max {max(latencies):.1f}",
        err=True,
    )


def _as_text(value: object, indent: int | None = None) -> str:
    """JSON for people and programs: letters as they are, but for those that no output takes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
