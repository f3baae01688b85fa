"""`seuss micro`: Rust functions as libraries in pinned workers, after ATC'18's Micro."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, get_args

import click

from orchestrator.cli import progress
from orchestrator.cli.invoke import Call, json_object
from orchestrator.micro.build import Product
from orchestrator.micro.build import build as build_function
from orchestrator.micro.dispatcher import MicroDispatcher
from orchestrator.micro.function import RustFunction
from orchestrator.micro.settings import Mechanism, MicroSettings, usual_cores
from orchestrator.micro.toolchain import Toolchain
from orchestrator.paths import Path

_MECHANISM = click.option(
    "--mechanism",
    type=click.Choice(get_args(Mechanism)),
    default="escape",
    show_default=True,
    help="How a call over its budget is stopped; unwind is the paper's, and unsafe.",
)


@click.group(short_help="Rust functions in workers, isolated by the compiler.")
def micro() -> None:
    """Rust functions as libraries in workers, isolated by the compiler (ATC'18's Micro).

    A function is a .rs file with

    \b
      use micro::prelude::*;
      pub fn main(args: &[u8]) -> Result<Vec<u8>, String> { ... }

    whose arguments and result are JSON objects as text. It may use core, alloc, micro (clocks),
    serde, serde_json and sha2, and no `unsafe`. Samples are in micro_worker/functions; what this
    isolation gives and what not is in micro_worker/README.md.
    """


@micro.command()
@click.argument("file", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--as",
    "product",
    type=click.Choice([product.value for product in Product]),
    default=Product.ESCAPE.value,
    show_default=True,
    help="A library for one of the mechanisms, or a program of its own (the baseline).",
)
def build(file: pathlib.Path, product: str) -> None:
    """Build the function in FILE, or say why it is refused, and print the product's path.

    Refused are `unsafe`, raw FFI, assembly, std, crates beside the allow-list, other files, and
    attributes that name symbols or sections.
    """
    function = RustFunction.from_file(file)
    click.echo(build_function(function, Toolchain.find(), Product(product)))


@micro.command()
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
    type=click.Choice([Path.AUTO.value, Path.COLD.value, Path.WARM.value]),
    default=Path.AUTO.value,
    show_default=True,
    help="cold loads the library for the call, warm finds it loaded.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds after which the function is stopped.",
)
@click.option(
    "--quantum",
    type=float,
    default=MicroSettings.quantum_us,
    show_default=True,
    metavar="US",
    help="Period of the preemption clock in microseconds; 0 for none.",
)
@click.option(
    "--spin",
    type=int,
    default=MicroSettings.spin_us,
    show_default=True,
    metavar="US",
    help="How long an idle worker looks for requests before it sleeps.",
)
@click.option(
    "--memory",
    type=int,
    default=MicroSettings.arena_mib,
    show_default=True,
    metavar="MIB",
    help="Heap of one call.",
)
@click.option(
    "--core",
    type=int,
    multiple=True,
    metavar="N",
    help="Pin a worker to this core; may be given again.  [default: the last]",
)
@_MECHANISM
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Invoke N times, one after another.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per invocation, one a line.")
def run(
    file: pathlib.Path,
    arguments: dict[str, Any],
    path: str,
    budget: float,
    quantum: float,
    spin: int,
    memory: int,
    core: tuple[int, ...],
    mechanism: Mechanism,
    repeat: int,
    as_json: bool,
) -> None:
    """Build the function in FILE, start workers, and call it.

    The outcome is shown as `seuss invoke` shows it; the exit status is 1 if a call gave an error.
    """
    settings = MicroSettings(
        cores=core or usual_cores(),
        mechanism=mechanism,
        quantum_us=quantum,
        spin_us=spin,
        arena_mib=memory,
    )
    function = RustFunction.from_file(file)
    call = Call(arguments, Path(path), budget, repeat, as_json)
    progress.run(call.make(MicroDispatcher(settings), function))
    if not all(invocation.ok for _, invocation in call.made):
        sys.exit(1)
