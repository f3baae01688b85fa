"""The peers "Linux microVM", booted and restored, in the QEMU that SEUSS's own machines run in.

A cloud kernel whose first process is the caller, on the serial port. The restored one starts from
a QMP snapshot of a booted one; its memory is a private mapping of the snapshot's, so that clones
share what they do not write.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pathlib
import subprocess
from collections.abc import AsyncIterator
from typing import ClassVar

from qemu.qmp import QMPClient, QMPError

from experiments.peers import linux_guest
from experiments.peers.errors import PeerError
from experiments.peers.linux_guest import MEMORY_MIB
from experiments.peers.linux_process import RunningProcess
from experiments.peers.meeting import Meeting, arrival
from experiments.peers.peer import Instance, Peer
from orchestrator.machines.accelerator import QEMU, TCG_CPU
from orchestrator.machines.process import dying_with_this

BOOT_DEADLINE_S = 120.0
_IGNORE_SHARED = {
    "capabilities": [{"capability": "x-ignore-shared", "state": True}],
}


class LinuxMicroVm(Peer):
    """Boots for each instance."""

    name = "linux-vm-booted"
    title = "Linux microVM, booted"
    machine: ClassVar[str] = (
        "microvm,pit=on,pic=on,rtc=on,isa-serial=on,acpi=off,pcie=off,memory-backend=ram"
    )
    card: ClassVar[tuple[str, ...]] = ("-nic", "none")
    program: ClassVar[str] = linux_guest.CALLER
    """The first process's."""

    def __init__(self, accelerator: str = "tcg", cpu: str = TCG_CPU) -> None:
        self._accelerator = accelerator
        self._cpu = cpu

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        folder = await stack.enter_async_context(linux_guest.folder())
        self._folder = folder
        self._numbers = itertools.count()
        await asyncio.to_thread(linux_guest.write, folder, self._furnish)
        self._meeting = await stack.enter_async_context(Meeting(folder / "meet"))

    def command(self, serial: str, *options: str) -> tuple[str, ...]:
        """Return QEMU's command line, with its serial port connected to a unix socket."""
        return (
            *(QEMU, "-M", self.machine, "-accel", self._accelerator, "-cpu", self._cpu),
            *("-m", f"{MEMORY_MIB}M", "-smp", "1", "-nodefaults", "-no-user-config"),
            *("-display", "none", *self.card, "-no-reboot"),
            *("-chardev", f"socket,id=serial,path={serial}", "-serial", "chardev:serial"),
            *options,
        )

    def booting(self, name: str, memory: str) -> tuple[str, ...]:
        """Return the options that boot Linux with `memory` as its backend."""
        return (
            *("-object", f"{memory},id=ram,size={MEMORY_MIB}M"),
            *("-kernel", str(self._folder / linux_guest.KERNEL)),
            *("-initrd", str(self._folder / linux_guest.RAMDISK)),
            *("-append", linux_guest.kernel_line(name, "reboot=t", program=self.program)),
        )

    def _furnish(self, root: pathlib.Path) -> None:
        """Put into the RAM disk what the machine needs."""
        linux_guest.furnish(root)

    async def _start(self) -> Instance:
        name = str(next(self._numbers))
        return await self.boot(name, "memory-backend-ram")

    async def boot(self, name: str, memory: str, *options: str) -> RunningProcess:
        """Boot a machine and wait for its caller."""
        words = self.command(str(self._meeting.place), *self.booting(name, memory), *options)
        async with self._meeting.expect(name) as future, _starting(words) as process:
            channel, pid = await arrival(future, process)
        return RunningProcess(channel, pid, process)


class RestoredMicroVm(LinuxMicroVm):
    """Starts each instance from the snapshot of one that booted before."""

    name = "linux-vm-restored"
    title = "Linux microVM, restored"

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        await super()._open(stack)
        memory = f"memory-backend-file,share=on,mem-path={self._folder / 'memory'}"
        monitor = str(self._folder / "monitor")
        async with _monitor(monitor) as qmp:
            booted = await self.boot("template", memory, "-qmp", f"unix:{monitor}")
            try:
                await qmp.accept()
                await qmp.execute("stop")
                await qmp.execute("migrate-set-capabilities", _IGNORE_SHARED)
                await qmp.execute("migrate", {"uri": f"exec:cat > {self._folder / 'state'}"})
                await _until_completed(qmp)
            finally:
                await booted.close()

    async def _start(self) -> Instance:
        name = str(next(self._numbers))
        memory = f"memory-backend-file,share=off,mem-path={self._folder / 'memory'}"
        monitor = str(self._folder / f"monitor-{name}")
        words = self.command(
            str(self._meeting.place),
            *("-object", f"{memory},id=ram,size={MEMORY_MIB}M"),
            *("-qmp", f"unix:{monitor}", "-incoming", "defer", "-S"),
        )
        async with (
            self._meeting.next() as future,
            _monitor(monitor) as qmp,
            _starting(words) as process,
        ):
            await qmp.accept()
            await qmp.execute("migrate-set-capabilities", _IGNORE_SHARED)
            await qmp.execute("migrate-incoming", {"uri": f"exec:cat {self._folder / 'state'}"})
            await _until_completed(qmp)
            await qmp.execute("cont")
            channel, pid = await arrival(future, process)
            # It was ready before the snapshot was taken; an empty order shows that it is again.
            await channel.ask(None, None)
        return RunningProcess(channel, pid, process)


@contextlib.asynccontextmanager
async def _starting(words: tuple[str, ...]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start QEMU; kill it if the block fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=dying_with_this(),
        )
    except OSError as error:
        raise PeerError(
            f"{QEMU} cannot be started ({error.strerror}). Install Debian's qemu-system-x86.",
            command=words,
        ) from error
    try:
        yield process
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


@contextlib.asynccontextmanager
async def _monitor(place: str) -> AsyncIterator[QMPClient]:
    """Listen for QEMU's QMP, to be accepted in the block; QMPError becomes PeerError."""
    client = QMPClient()
    try:
        async with asyncio.timeout(BOOT_DEADLINE_S):
            await client.start_server(place)
            yield client
    except (QMPError, TimeoutError, EOFError) as error:
        raise PeerError(f"A Linux microVM cannot be captured or restored: {error}.") from error
    finally:
        # QEMU may have been killed before.
        with contextlib.suppress(QMPError, OSError, EOFError):
            await client.disconnect()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)  # noqa: PTH108


async def _until_completed(qmp: QMPClient) -> None:
    while True:
        found = await qmp.execute("query-migrate")
        status = found.get("status") if isinstance(found, dict) else None
        if status == "completed":
            return
        if status == "failed":
            raise PeerError(f"QEMU could not move the machine's state: {found}.")
        await asyncio.sleep(0.002)
