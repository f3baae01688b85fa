"""`seuss image`: the guest image."""

from __future__ import annotations

import pathlib
import subprocess

import click

from orchestrator.errors import ImageError

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


@click.group(short_help="Build the guest image.")
def image() -> None:
    """The guest image: library OS, interpreter and standard library in one ELF file."""


@image.command()
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Parallel compilers."
)
def build(jobs: int) -> None:
    """Build the guest image of this checkout as build/ebbrt-python.elf.

    Needs the Debian packages of .ci/debian-packages.txt (`make setup` installs them). Steps that
    are done are not repeated. Snapshots of another image stay in the store, but are not used with
    this one.
    """
    source = CHECKOUT / "ebbrt_image"
    if not (source / "Makefile").is_file():
        raise ImageError(
            f"{source} has no Makefile: the image is built from a checkout of the project, and "
            "this installation is none. Clone the repository and run `make image` there."
        )
    product = CHECKOUT / "build"
    command = [
        "make",
        "--no-print-directory",
        f"--jobs={jobs}",
        "-C",
        str(source),
        f"BUILD={product}",
        "all",
    ]
    try:
        status = subprocess.run(command, check=False).returncode
    except FileNotFoundError as error:
        raise ImageError(
            "The image cannot be built: there is no `make` on this machine. Run `apt-get install "
            "make`, or .ci/install-debian-packages for all that is needed.",
            command=command,
        ) from error
    if status != 0:
        raise ImageError(
            f"Building the image failed with status {status}; the cause is above. If a header or a "
            "library is missing, run `make setup`.",
            command=command,
        )
    click.echo(product / "ebbrt-python.elf")
