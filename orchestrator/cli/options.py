"""Options that several commands share."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, get_args

import click

from orchestrator.anticipation import Anticipation
from orchestrator.network import parse_all
from orchestrator.runtimes import DEFAULT_RUNTIME, RUNTIMES, default_image
from orchestrator.settings import (
    DEFAULT_MEMORY_MIB,
    Accelerator,
    Backend,
    Isolation,
    Machine,
    Settings,
)
from snapshot_store import default_root

Command = Callable[..., Any]

store_option = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=default_root,
    show_default="$SEUSS_STORE, or seuss in $XDG_DATA_HOME",
    help="Folder of the snapshot store; made when missing.",
)


def _places(context: click.Context, option: click.Parameter, texts: Sequence[str]) -> Sequence[str]:
    """Return the places in the order that a function has them in. Raises NetworkError."""
    return parse_all(texts)


network_option = click.option(
    "--network",
    multiple=True,
    callback=_places,
    metavar="HOST:PORT",
    help="A place that the function may reach; may be given again. Without it there is none.",
)

_ISOLATION = click.option(
    "--isolation",
    type=click.Choice(get_args(Isolation)),
    default="vm",
    show_default=True,
    help="A machine per invocation, a unikernel context each in one machine, or (for functions in "
    "Rust) the compiler alone.",
)

_SETTINGS = [
    click.option(
        "--accelerator",
        type=click.Choice(get_args(Accelerator)),
        default="auto",
        show_default=True,
        help="How QEMU runs the guest; auto measures whether KVM is fast here.",
    ),
    click.option(
        "--machine",
        type=click.Choice(get_args(Machine)),
        default="microvm",
        show_default=True,
        help="QEMU's machine type.",
    ),
    click.option(
        "--machine-backend",
        type=click.Choice(get_args(Backend)),
        default="process",
        show_default=True,
        help="Who starts QEMU: this process, or libvirt at $LIBVIRT_DEFAULT_URI (isolation vm).",
    ),
    click.option(
        "--memory",
        type=int,
        default=None,
        show_default=", ".join(f"{mib} for {name}" for name, mib in DEFAULT_MEMORY_MIB.items()),
        metavar="MIB",
        help="The guest's memory in MiB.",
    ),
    click.option(
        "--cores",
        type=int,
        default=Settings.cores,
        show_default=True,
        metavar="N",
        help="Processors of the machine; contexts spread over all.",
    ),
    click.option(
        "--pool",
        type=int,
        default=Settings.pool_size,
        show_default=True,
        metavar="N",
        help="Keep N started QEMUs ready, so that process start is off the request path.",
    ),
    click.option(
        "--argument-snapshots",
        type=click.IntRange(min=0),
        default=Settings.argument_snapshots,
        show_default=True,
        metavar="N",
        help="Keep N snapshots at a function's snapshot point, one for each set of values.",
    ),
    click.option(
        "--memory-queue",
        type=int,
        default=Settings.memory_queue,
        show_default=True,
        metavar="N",
        help="Calls that may wait until the memory of a node of contexts has room for them.",
    ),
    click.option(
        "--memory-wait",
        type=float,
        default=Settings.memory_wait_s,
        show_default=True,
        metavar="S",
        help="Seconds after which a call that waits for memory is refused.",
    ),
    click.option(
        "--ao",
        type=click.Choice([step.value for step in Anticipation]),
        default=Settings.ao.value,
        show_default=True,
        help="Anticipatory optimisation before the base snapshot: none, of the network alone, or "
        "of network and interpreter.",
    ),
    click.option("--no-ao", is_flag=True, help="The same as --ao none."),
    click.option(
        "--image",
        type=click.Path(dir_okay=False, path_type=pathlib.Path),
        default=None,
        show_default="build/ebbrt-RUNTIME.elf; $SEUSS_IMAGE for python",
        help="The guest image.",
    ),
    click.option(
        "--runtime",
        type=click.Choice(list(RUNTIMES)),
        default=None,
        show_default=f"by the function's file; {DEFAULT_RUNTIME} without one",
        help="The runtime that the image carries.",
    ),
    store_option,
]


def settings_options(command: Command) -> Command:
    """Give a command `node_options` and the choice of the isolation."""
    return _ISOLATION(node_options(command))


def node_options(command: Command) -> Command:
    """Give a command the options that make up `Settings`, and pass them as one `settings`."""

    @functools.wraps(command)
    def wrapped(
        *,
        isolation: Isolation = "uc",
        accelerator: Accelerator,
        machine: Machine,
        machine_backend: Backend,
        memory: int | None,
        cores: int,
        pool: int,
        argument_snapshots: int,
        memory_queue: int,
        memory_wait: float,
        ao: str,
        no_ao: bool,
        image: pathlib.Path | None,
        runtime: str | None,
        store: pathlib.Path,
        **others: Any,
    ) -> Any:
        settings = Settings(
            image=image or default_image(runtime or DEFAULT_RUNTIME),
            store=store,
            isolation=isolation,
            accelerator=accelerator,
            machine=machine,
            machine_backend=machine_backend,
            memory_mib=DEFAULT_MEMORY_MIB[isolation] if memory is None else memory,
            cores=cores,
            pool_size=pool,
            argument_snapshots=argument_snapshots,
            memory_queue=memory_queue,
            memory_wait_s=memory_wait,
            ao=Anticipation.NONE if no_ao else Anticipation(ao),
            runtime=runtime or DEFAULT_RUNTIME,
        )
        return command(settings=settings, **others)

    for option in reversed(_SETTINGS):
        wrapped = option(wrapped)
    return wrapped
