"""The facts of a run that its figures depend on; stored with the samples."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pathlib
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.image import image_digest
from orchestrator.machines import accelerator
from orchestrator.settings import Settings

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Environment:
    """Where and with what a run was made. `started` is Unix time in seconds."""

    accelerator: str
    accelerator_reason: str
    machine: str
    guest_memory_mib: int
    guest_cores: int
    qemu: str
    kernel: str
    cpu: str
    cores: int
    memory_gib: float
    load_average: float
    python: str
    image_sha256: str
    commit: str
    started: float

    def to_json(self) -> dict[str, Any]:
        """Return the facts as a JSON object."""
        return asdict(self)


async def collect(settings: Settings) -> Environment:
    """Look at this machine, this checkout and the image of `settings`.

    Raises SeussError when QEMU, the accelerator or the image cannot be used.
    """
    verdict = await accelerator.choose(
        settings.accelerator, settings.image.parent / "accelerator-probe.elf"
    )
    return Environment(
        accelerator=verdict.name,
        accelerator_reason=verdict.reason,
        machine=settings.machine,
        guest_memory_mib=settings.memory_mib,
        guest_cores=settings.cores,
        qemu=await accelerator.qemu_version(),
        kernel=platform.release(),
        cpu=accelerator.cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        load_average=os.getloadavg()[0],
        python=platform.python_version(),
        image_sha256=await asyncio.to_thread(image_digest, settings.image),
        commit=commit(),
        started=time.time(),
    )


def commit() -> str:
    """The checkout's commit; "-dirty-" and a digest behind it when files differ; or "unknown"."""
    name = _git("describe", "--always", "--dirty", "--abbrev=12").decode().strip()
    if name.endswith("-dirty"):
        name += f"-{hashlib.sha256(_git('diff', 'HEAD')).hexdigest()[:8]}"
    return name or "unknown"


def _git(*words: str) -> bytes:
    """Return what git says of the checkout; nothing outside of git."""
    with contextlib.suppress(OSError):
        command = ["git", "-C", str(CHECKOUT), *words]
        return subprocess.run(command, capture_output=True, check=False).stdout
    return b""
