"""The peer "Firecracker": the Linux of the microVM peers, booted in a Firecracker of its own.

Only where KVM is worth using: Firecracker has no other accelerator. The caller's serial port is
Firecracker's standard input and output, so the guest needs neither a network nor a module.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
from collections.abc import AsyncIterator

from experiments.environment import CHECKOUT
from experiments.peers import linux_guest
from experiments.peers.errors import PeerError
from experiments.peers.linux_guest import MEMORY_MIB
from experiments.peers.linux_process import RunningProcess
from experiments.peers.meeting import READY_TIMEOUT_S
from experiments.peers.peer import LINE_LIMIT, Channel, Instance, Peer
from orchestrator.errors import AcceleratorError
from orchestrator.image import PROBE_NAME
from orchestrator.machines import accelerator
from orchestrator.machines.process import dying_with_this

PROGRAM = CHECKOUT / "build" / "peers" / "firecracker" / "firecracker"
"""Where `make peers` puts it."""
PROBE = CHECKOUT / "build" / PROBE_NAME
LOG_TAIL = 600
_OPTIONS = ("reboot=k", "pci=off", "i8042.noaux", "i8042.nomux", "i8042.dumbkbd")
"""For the machine that Firecracker gives: no PCI bus, and of a keyboard only what resets."""


class Firecracker(Peer):
    """Boots for each instance."""

    name = "firecracker"
    title = "Linux in Firecracker (KVM)"

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        await demand_kvm()
        if not PROGRAM.exists():
            raise PeerError(f"There is no Firecracker in {PROGRAM.parent}. Run `make peers`.")
        self._folder = await stack.enter_async_context(linux_guest.folder())
        self._numbers = itertools.count()
        await asyncio.to_thread(linux_guest.write, self._folder)
        # Shows now, not in the middle of a run, whether this machine lets it boot.
        await self.end(await self.start())

    async def _start(self) -> Instance:
        name = str(next(self._numbers))
        settings, log = self._folder / f"{name}.json", self._folder / f"{name}.log"
        settings.write_text(json.dumps(configuration(self._folder, name)))
        log.touch()  # it opens what is there, and makes none
        words = (
            *(str(PROGRAM), "--no-api", "--config-file", str(settings)),
            # Without this its messages would be among the guest's.
            *("--log-path", str(log)),
        )
        async with _starting(words, log) as (process, orders):
            assert process.stdout is not None
            await _greeting(process.stdout, name)
        return RunningProcess(Channel(process.stdout, orders), process.pid, process)


def configuration(folder: pathlib.Path, name: str) -> dict[str, object]:
    """Return Firecracker's --config-file for the guest in `folder` whose caller is `name`."""
    return {
        "boot-source": {
            "kernel_image_path": str(folder / linux_guest.KERNEL),
            "initrd_path": str(folder / linux_guest.RAMDISK),
            "boot_args": linux_guest.kernel_line(name, *_OPTIONS),
        },
        "machine-config": {"vcpu_count": 1, "mem_size_mib": MEMORY_MIB},
        "drives": [],
    }


async def demand_kvm() -> None:
    """Raise PeerError with the reason where KVM cannot be used, or is slower than emulation."""
    try:
        verdict = await accelerator.choose("auto", PROBE)
    except AcceleratorError as error:
        raise PeerError(f"Firecracker needs KVM, which was not found: {error.message}") from error
    if verdict.name != "kvm":
        raise PeerError(f"Firecracker needs KVM, and machines here run by {verdict.reason}")


@contextlib.asynccontextmanager
async def _starting(
    words: tuple[str, ...], log: pathlib.Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamWriter]]:
    """Start Firecracker; yield it and its standard input. If the block fails, end it and say why.

    The input is a pipe made here: of what asyncio gives, a socket, Firecracker takes no notice.
    """
    given, kept = os.pipe()
    orders = await _writer(kept)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=given,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_LIMIT,
            preexec_fn=dying_with_this(),
        )
    except BaseException as error:
        orders.close()
        if isinstance(error, OSError):
            raise PeerError(
                f"{words[0]} cannot be started ({error.strerror}). "
                "Remove build/peers/firecracker and run `make peers`.",
                command=words,
            ) from error
        raise
    finally:
        os.close(given)
    try:
        yield process, orders
    except BaseException as error:
        orders.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, PeerError):
            raise PeerError(f"{error.message} {_tail(log)}", command=words) from error
        raise


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    """Return a stream that owns a pipe's end for writing."""
    loop = asyncio.get_running_loop()
    # Nothing is read from it; the protocol knows when it has closed.
    nothing = asyncio.StreamReader()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(nothing), os.fdopen(descriptor, "wb", buffering=0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _greeting(answers: asyncio.StreamReader, name: str) -> None:
    """Wait until the caller says that it is ready; PeerError when it does not."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            # A guest that fails early may say something else before.
            async for line in answers:
                if line == f"ready {name}\n".encode():
                    return
    except TimeoutError as error:
        raise PeerError(
            f"Linux was not ready in Firecracker after {READY_TIMEOUT_S:g} s."
        ) from error
    raise PeerError("Firecracker ended before Linux was ready.")


def _tail(log: pathlib.Path) -> str:
    """Return what Firecracker said last, in one line."""
    said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-LOG_TAIL:]
    return f"It said: {said}" if said else "It said nothing."
