"""`seuss invoke`: call a function."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from orchestrator.cli import progress
from orchestrator.cli.functions import deployed_names
from orchestrator.cli.options import network_option, settings_options
from orchestrator.cli.terminal import shown, tell
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.micro.dispatcher import MicroDispatcher
from orchestrator.micro.function import RustFunction
from orchestrator.micro.settings import MicroSettings, usual_cores
from orchestrator.nodes.client import NodeClient, running_node
from orchestrator.paths import Path
from orchestrator.platform import registry
from orchestrator.platform.database import Database
from orchestrator.platform.log import Entry, Log
from orchestrator.platform.registry import Registry
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings, checked_timeout
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


def _files_and_names(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete a deployed function's name or, as the shell does, a file's."""
    names = [CompletionItem(name) for name in deployed_names(context, parameter, begun)]
    return names or [CompletionItem(begun, type="file")]


@click.command(short_help="Call a function.")
@click.argument("target", metavar="FILE|NAME", shell_complete=_files_and_names)
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
    default=None,
    show_default=f"{Settings.timeout_s:g}, or what NAME was deployed with",
    metavar="S",
    help="Seconds that one invocation may run.",
)
@network_option
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
    target: str,
    arguments: dict[str, Any],
    path: str,
    timeout: float | None,
    network: tuple[str, ...],
    main: str,
    repeat: int,
    as_json: bool,
    settings: Settings,
) -> None:
    """Call the function in FILE, or the one deployed as NAME.

    FILE is a .py, .js or .mjs file, or a .zip with __main__.py or index.js at its top.

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
      resumed go on from the function's seuss.snapshot_point, captured with the same values
              of the arguments that it names
      auto    the last of these that is possible

    \b
    With --json each line has: path, isolation, result or error (kind, message, traceback), stdout,
    stderr, latency_ms, phases in ms (wait, spawn, restore, deploy, import, capture, run; null
    where the path has no such phase), pooled, snapshot, accelerator. With --isolation uc, snapshot
    is null until the function's is stored, which is after the first answer.

    A NAME runs with the isolation, memory and limit that it was deployed with unless options say
    otherwise, reaches the places that it was deployed with, and its invocations go into the log
    (seuss logs).

    The exit status is 1 if any invocation gave an error; the others are made all the same.
    """
    if network and (not _is_file(target) or settings.isolation == "language"):
        raise click.UsageError(
            "--network is for a FILE that runs in a machine or a context. Give it to seuss deploy "
            "for a NAME."
        )
    if not _is_file(target):
        with Database(settings.store) as database:
            deployed = Registry(database).get(target)
        settings = _as_deployed(settings, deployed.entry)
        timeout = deployed.entry.timeout_s if timeout is None else timeout
    limit = checked_timeout(Settings.timeout_s if timeout is None else timeout)
    call = Call(arguments, Path(path), limit, repeat, as_json)
    if not _is_file(target):
        try:
            progress.run(_on_unikernels(settings, deployed.deployment.function, call))
        finally:
            _log(settings, deployed.entry, call)
    elif settings.isolation == "language":
        workers = MicroSettings(usual_cores(), arena_mib=settings.memory_mib)
        rust = RustFunction.from_file(pathlib.Path(target))
        progress.run(call.make(MicroDispatcher(workers), rust))
    else:
        asked = click.get_current_context().params["runtime"]
        function = Function.from_file(pathlib.Path(target), main, asked, network)
        settings = replace(settings, network=bool(network))
        progress.run(_on_unikernels(settings.for_runtime(function.runtime), function, call))
    if not all(invocation.ok for _, invocation in call.made):
        sys.exit(1)


def _is_file(target: str) -> bool:
    path = pathlib.Path(target)
    return path.suffix.lower() in (".py", ".zip", ".rs") or os.sep in target or path.is_file()


def _as_deployed(settings: Settings, entry: registry.Entry) -> Settings:
    """Return settings with what the function was deployed with, where no option says otherwise."""
    source = click.get_current_context().get_parameter_source
    isolation, memory_mib = settings.isolation, settings.memory_mib
    if source("isolation") is ParameterSource.DEFAULT:
        isolation = entry.isolation
    if source("memory") is ParameterSource.DEFAULT:
        memory_mib = DEFAULT_MEMORY_MIB[isolation]
        if isolation == entry.isolation:
            memory_mib = entry.memory_mib or memory_mib
    settings = settings.for_runtime(entry.runtime)
    return replace(
        settings, isolation=isolation, memory_mib=memory_mib, network=bool(entry.network)
    )


def _log(settings: Settings, entry: registry.Entry, call: Call) -> None:
    """Have the platform's log hold the calls that were made."""
    if call.made:
        with Database(settings.store) as database:
            Log(database).append(
                [
                    Entry.of(uuid.uuid4().hex, when, entry, invocation)
                    for when, invocation in call.made
                ]
            )


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
    made: list[tuple[float, Invocation]] = field(default_factory=list)
    """When each was begun (Unix seconds), and what came of it."""

    async def make(
        self, dispatcher: AbstractAsyncContextManager[Dispatcher[F]], function: F, pool: int = 0
    ) -> None:
        """Invoke, show each outcome, and note it in `made`."""
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
                when = time.time()
                async with progress.activity(f"invoking {name}"):
                    invocation = await orchestrator.invoke(
                        function, self.arguments, self.path, self.timeout_s
                    )
                self.made.append((when, invocation))
                bar.close()
                _show(invocation, self.as_json)
                if self.repeat > 1:
                    bar.show(len(self.made))
            bar.close()
        if self.repeat > 1 and not self.as_json:
            _summarise([invocation for _, invocation in self.made])


async def _on_unikernels(settings: Settings, function: Function, call: Call) -> None:
    # Calls come one after another: more machines would only be made beside them, not for them.
    pool = min(settings.pool_size, 1)
    dispatcher = await _dispatcher(replace(settings, pool_size=pool))
    await call.make(dispatcher, function, pool)


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
            tell(text, newline=not text.endswith("\n"))
        if truncated:
            click.echo("[output cut here: it was too long]", err=True)
    if invocation.error is None:
        click.echo(_as_text(invocation.result, indent=2))
    else:
        error = invocation.error
        if error.traceback:
            tell(error.traceback.rstrip())
        tell(f"seuss: the function failed: {error.kind}: {error.message}")
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


def _summarise(made: Sequence[Invocation]) -> None:
    latencies = [invocation.latency_ms for invocation in made]
    failed = sum(not invocation.ok for invocation in made)
    click.echo(
        f"{len(latencies)} invocations, {failed} failed; ms: min {min(latencies):.1f}, "
        f"median {statistics.median(latencies):.1f}, max {max(latencies):.1f}",
        err=True,
    )


def _as_text(value: object, indent: int | None = None) -> str:
    """JSON for people and programs: letters as they are, if the output takes them unharmed."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text if shown(text, sys.stdout) == text else json.dumps(value, indent=indent)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
