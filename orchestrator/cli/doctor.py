"""`seuss doctor`: what this machine can do, and what is missing."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import shutil
import sys
from dataclasses import asdict, dataclass

import click

from orchestrator.cli import progress
from orchestrator.cli.options import store_option
from orchestrator.errors import AcceleratorError, ImageError
from orchestrator.image import image_digest
from orchestrator.machines import accelerator, memory_group
from orchestrator.runtimes import default_image
from snapshot_store import SnapshotStore

GUEST_PYTHON = (3, 11)
EXIT_FAULT = 3


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `fault` says whether SEUSS cannot work because of it."""

    subject: str
    state: str
    advice: str = ""
    fault: bool = False


@click.command(short_help="Say what this machine can do.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of text.")
@click.option(
    "--image",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    default=default_image,
    show_default="$SEUSS_IMAGE, or build/ebbrt-python.elf",
    help="The guest image to look at.",
)
@store_option
def doctor(as_json: bool, image: pathlib.Path, store: pathlib.Path) -> None:
    """Say what this machine can do, which accelerator is used and why.

    Looks at Python, QEMU, the accelerators (measured, not guessed: on nested machines KVM may open
    and still be useless), the image and the store. Exits with 3 if something that is needed is
    missing; the line says what to do.
    """
    findings = progress.run(_examine(image, store))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            mark = "FAULT" if finding.fault else "ok   "
            click.echo(f"{mark} {finding.subject:<{width}}  {finding.state}")
            if finding.advice:
                click.echo(f"      {'':<{width}}  -> {finding.advice}")
    if any(finding.fault for finding in findings):
        sys.exit(EXIT_FAULT)


async def _examine(image: pathlib.Path, store: pathlib.Path) -> list[Finding]:
    findings = [_machine(), _python()]
    qemu = await _qemu()
    findings += [qemu, _kvm()]
    if not qemu.fault:
        async with progress.activity("measuring the accelerators"):
            findings.append(await _accelerator(image))
    findings += [_memory_limits(), _image(image), _store(store)]
    return findings


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    state = f"{cores} cores, {memory:.1f} GiB, Linux {platform.release()}, {platform.machine()}"
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return Finding("machine", state)
    return Finding("machine", state, "SEUSS runs on Linux on x86-64 only.", fault=True)


def _python() -> Finding:
    state = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] >= GUEST_PYTHON:
        return Finding("Python", state)
    return Finding("Python", state, "Python 3.11 or later is needed: make setup.", fault=True)


async def _qemu() -> Finding:
    try:
        version = await accelerator.qemu_version()
    except AcceleratorError as error:
        return Finding("QEMU", "missing", error.message, fault=True)
    return Finding("QEMU", f"{version} at {shutil.which(accelerator.QEMU)}")


def _kvm() -> Finding:
    obstacle = accelerator.kvm_obstacle()
    if obstacle is None:
        return Finding("KVM", f"{accelerator.KVM_DEVICE} opens; whether it is fast is measured")
    return Finding("KVM", f"not usable: {obstacle}", "Not needed: TCG does the same, slower.")


async def _accelerator(image: pathlib.Path) -> Finding:
    try:
        verdict = await accelerator.choose("auto", image.parent / "accelerator-probe.elf")
    except AcceleratorError as error:
        return Finding("accelerator", "none works", error.message, fault=True)
    return Finding("accelerator", f"{verdict.reason} (-accel {verdict.name} -cpu {verdict.cpu})")


def _memory_limits() -> Finding:
    where = memory_group.place()
    if where.folder is not None:
        return Finding("memory limits", f"{where}: each machine has one")
    return Finding(
        "memory limits",
        str(where),
        "Run as root, or by systemd-run --user --scope -p Delegate=yes, or bound it from outside.",
    )


def _image(image: pathlib.Path) -> Finding:
    try:
        digest = image_digest(image)
    except ImageError as error:
        return Finding("image", f"{image} cannot be read", error.message, fault=True)
    size = image.stat().st_size / 1e6
    return Finding("image", f"{image}, {size:.1f} MB, SHA-256 {digest[:16]}...")


def _store(root: pathlib.Path) -> Finding:
    if not root.exists():
        return Finding("store", f"{root} is not there yet; the first capture makes it")
    if not os.access(root, os.W_OK | os.X_OK):
        return Finding("store", f"{root} cannot be written", "Name another: --store.", fault=True)
    with SnapshotStore(root) as store:
        manifests = store.list()
    size = sum(manifest.stored_bytes for manifest in manifests)
    free = shutil.disk_usage(root).free
    return Finding(
        "store",
        f"{root}, {len(manifests)} snapshots, {size / 1e6:.1f} MB; {free / 1e9:.1f} GB free",
    )
