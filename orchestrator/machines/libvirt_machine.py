"""A machine run by libvirt: the same machine, but libvirt starts QEMU, confines it and ends it.

QEMU is libvirt's child and inherits nothing from us. Descriptors reach it through libvirt's QMP
passthrough instead, which takes files: the console, the incoming stream and captures. Only what
QEMU must open by itself lies in a folder of its user alone: the image, the debug console's socket,
and a copy of the base's memory, which unlike a memfd cannot be sealed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import os
import pathlib
import shutil
import socket
import struct
import tempfile
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self
from xml.etree import ElementTree

import libvirt
import libvirt_qemu
from qemu.qmp import EventListener, Message

from orchestrator.errors import MachineError
from orchestrator.machines.accelerator import QEMU
from orchestrator.machines.console import Console
from orchestrator.machines.libvirt_domain import Files, domain_xml
from orchestrator.machines.machine import ANSWER_DEADLINE_S, START_DEADLINE_S, Machine
from orchestrator.machines.ram import RamFile

MEMORY_FOLDER = pathlib.Path("/dev/shm")
CONSOLE = "console"
STREAM = "incoming"

_numbers = itertools.count(1)
_files: weakref.WeakKeyDictionary[RamFile, dict[int, pathlib.Path]] = weakref.WeakKeyDictionary()
"""Copies of bases' memory by the user they are for; each goes with its base."""


class LibvirtMachine(Machine):
    """A transient domain of the libvirt that LIBVIRT_DEFAULT_URI names, else the user's own.

    It ends with the connection, so with this process, however that ends. libvirt reaps QEMU and
    does not tell its exit status: `status` is 0 for any end.
    """

    _connection: Any = None
    _domain: Any = None
    _pid: int | None = None
    _status: int | None = None
    _told: int | None = None
    """The registration by which libvirt tells of the domain's end."""

    async def start(self) -> None:
        """Start the domain; raises MachineError, and then nothing is left behind."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._start()
        except TimeoutError as error:
            await self.close()
            raise self.error("libvirt did not start the domain in time") from error
        except libvirt.libvirtError as error:
            await self.close()
            raise self.error(
                f"libvirt cannot run the machine: {error}. Check that its daemon runs, and that "
                "LIBVIRT_DEFAULT_URI names it"
            ) from error
        except OSError as error:
            await self.close()
            raise self.error(f"The domain's files cannot be made ({error.strerror})") from error
        except BaseException:
            await self.close()
            raise
        self.spawn_ms = (time.monotonic() - started) * 1000

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        assert self._pid is not None
        return self._pid

    @property
    def status(self) -> int | None:
        """0 once QEMU has ended in whatever way; None while it runs."""
        return self._status

    async def execute(self, command: str, **arguments: object) -> Any:
        """Run a QMP command and return its answer; `_` in argument names stands for `-`.

        Raises MachineError when QEMU refuses, does not answer in time, or ends before it answers.
        """
        return await self._command(command, arguments)

    async def hand_over(self, descriptor: int, name: str) -> None:
        """Give QEMU a copy of `descriptor` under `name`, as `fd:NAME` in later commands."""
        await self._command("getfd", {"fdname": name}, descriptor)

    @contextlib.contextmanager
    def events(self, *names: str) -> Iterator[EventListener]:
        """Listen to QMP events of these names while the context lasts."""
        loop = asyncio.get_running_loop()
        listener = EventListener(names)

        def heard(
            connection: Any, domain: Any, event: str, s: int, us: int, data: str, _: Any
        ) -> None:
            told = Message({"event": event, "data": json.loads(data) if data else {}})
            loop.call_soon_threadsafe(lambda: asyncio.ensure_future(listener.put(told)))

        registered = [
            libvirt_qemu.qemuMonitorEventRegister(self._connection, self._domain, name, heard, None)
            for name in names
        ]
        try:
            yield listener
        finally:
            for number in registered:
                with contextlib.suppress(libvirt.libvirtError):
                    libvirt_qemu.qemuMonitorEventDeregister(self._connection, number)

    async def wait(self) -> int:
        """Wait until QEMU has ended; 0 whatever its status was."""
        await self._ended.wait()
        self._debug_log.drain()
        return 0

    async def close(self) -> None:
        """Destroy the domain and give everything back. May be called again, and at any time."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                work = asyncio.to_thread(_end, connection, self._domain, self._told)
                await asyncio.shield(work)
        finally:
            self._status = 0 if self._domain is not None else self._status
            self._ended.set()
            self._cleanup.close()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        _handle_events()
        await _to_its_end(self._connect)
        user = await asyncio.to_thread(_qemu_user, self._connection)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="seuss-", dir=_memory_folder()))
        self._cleanup.callback(shutil.rmtree, folder, True)
        files = await asyncio.to_thread(self._make_files, folder, user)
        listening = self._listen(files.debug, user)
        system = "session" not in self._connection.getURI()
        emulator = shutil.which(QEMU) or QEMU
        name = f"seuss-{os.getpid()}-{next(_numbers)}"
        self.command = ["libvirt", name, QEMU]
        xml = domain_xml(
            *(name, self.hardware, emulator, files),
            append=self._append,
            incoming=self._incoming,
            bounded=system,
        )
        flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
        await _to_its_end(functools.partial(self._create, xml, flags))
        self._watch_end(loop)
        debug, _ = await loop.sock_accept(listening)
        self._cleanup.callback(debug.close)
        debug.setblocking(False)
        credentials = debug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self._pid = struct.unpack("<3i", credentials)[0]
        self._cleanup.callback(self._debug_log.follow(debug))
        await self._connect_console()
        if self._incoming:
            await self._open_stream()
        if not self.paused:
            # While a stream is awaited this only says that the guest shall run once it is there.
            await self.execute("cont")

    def _connect(self) -> None:
        self._connection = libvirt.open(None)

    def _create(self, xml: str, flags: int) -> None:
        self._domain = self._connection.createXML(xml, flags)

    def _make_files(self, folder: pathlib.Path, user: int) -> Files:
        """Lay out what QEMU opens by itself, for its user alone."""
        kernel = ram = None
        if self._kernel is not None:
            kernel = folder / "kernel"
            shutil.copyfile(self._kernel, kernel)
            _give(kernel, user)
        if self._region is not None or not isinstance(self._ram, RamFile | None):
            raise MachineError(
                "libvirt's machines cannot share memory with the host. "
                "Use --machine-backend process for nodes of contexts."
            )
        if self._ram is not None:
            ram = _file_of(self._ram, user)
        _give(folder, user)
        return Files(folder / "debug", ram, kernel)

    def _listen(self, path: pathlib.Path, user: int) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        self._cleanup.callback(listening.close)
        listening.bind(str(path))
        _give(path, user)
        listening.listen(1)
        listening.setblocking(False)
        return listening

    async def _connect_console(self) -> None:
        near, far = socket.socketpair()
        self._cleanup.callback(near.close)
        near.setblocking(False)
        with far:
            await self.hand_over(far.fileno(), CONSOLE)
            address = {"type": "fd", "data": {"str": CONSOLE}}
            backend = {"type": "socket", "data": {"addr": address, "server": False}}
            await self.execute("chardev-add", id=CONSOLE, backend=backend)
            await self.execute("device_add", driver="virtconsole", chardev=CONSOLE)
            # As in Machine.start: QEMU must wait while its console is full, not drop.
            far.setblocking(True)
        self._console = Console(near)
        self._cleanup.callback(self._console.close)

    async def _open_stream(self) -> None:
        near, far = socket.socketpair()
        self._cleanup.callback(near.close)
        near.setblocking(False)
        self.stream = near
        with far:
            await self.hand_over(far.fileno(), STREAM)
            await self.execute("migrate-incoming", uri=f"fd:{STREAM}")

    def _watch_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be told when the domain stops, and see whether it has by now."""

        def end() -> None:
            self._status = 0
            self._ended.set()

        def happened(connection: Any, domain: Any, event: int, detail: int, _: Any) -> None:
            if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(end)

        self._told = self._connection.domainEventRegisterAny(
            self._domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, happened, None
        )
        if not self._domain.isActive():
            end()

    async def _command(
        self, command: str, arguments: dict[str, object], descriptor: int | None = None
    ) -> Any:
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        line = json.dumps({"execute": command} | ({"arguments": named} if named else {}))
        if self._connection is None or self._domain is None:
            raise self.error(f"QEMU ended before it answered {command}")
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                with _Copies(() if descriptor is None else (descriptor,)) as given:
                    told = await asyncio.to_thread(self._pass, line, given)
        except TimeoutError as error:
            raise self.error(f"QEMU did not answer {command} in time") from error
        except libvirt.libvirtError as error:
            raise self.error(f"QEMU ended before it answered {command}: {error}") from error
        answer = json.loads(told)
        if "error" in answer:
            raise self.error(f"QEMU refused {command}: {answer['error'].get('desc')}")
        return answer["return"]

    def _pass(self, line: str, given: _Copies) -> str:
        with given.taken() as descriptors:
            if not descriptors:
                told: str = libvirt_qemu.qemuMonitorCommand(self._domain, line, 0)
            else:
                told, _ = libvirt_qemu.qemuMonitorCommandWithFiles(
                    self._domain, line, descriptors, 0
                )
            return told


class _Copies:
    """Copies of descriptors for a thread, which may outlive the call that gives them to it.

    They belong to the thread once it took them, and before that to the context, which closes them:
    a call can be given up before a thread is free.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._copies = [[os.dup(descriptor) for descriptor in descriptors]]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self.taken():
            pass

    @contextlib.contextmanager
    def taken(self) -> Iterator[list[int]]:
        """Lend them to the first who asks, and close them after that; another gets none."""
        try:
            copies = self._copies.pop()  # one step, whatever other threads do
        except IndexError:
            copies = []
        try:
            yield copies
        finally:
            for copy in copies:
                os.close(copy)


async def _to_its_end(work: Callable[[], None]) -> None:
    """Run blocking work in a thread, and wait for it even when cancelled: what it made is known."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait((doing,))
        raise


def _end(connection: Any, domain: Any, told: int | None) -> None:
    """End a domain and its connection; the order spares libvirt complaints."""
    if told is not None:
        with contextlib.suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(told)
    if domain is not None:
        with contextlib.suppress(libvirt.libvirtError):  # it has ended by itself
            domain.destroy()
    connection.close()


@functools.cache
def _handle_events() -> None:
    """Have one thread deliver libvirt's events; due before the first connection."""
    libvirt.virEventRegisterDefaultImpl()
    # libvirt prints errors that are raised as well.
    libvirt.registerErrorHandler(lambda _, error: None, None)

    def deliver() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=deliver, name="seuss-libvirt", daemon=True).start()


def _qemu_user(connection: Any) -> int:
    """Return the user that this libvirt's QEMU runs as."""
    root = ElementTree.fromstring(connection.getCapabilities())
    for model in root.iter("secmodel"):
        if model.findtext("model") == "dac":
            for label in model.iter("baselabel"):
                return int((label.text or "+0").split(":")[0].lstrip("+"))
    # A session's QEMU has its daemon's user, and the daemon owns its socket.
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(connection.getURI()).query)
    return pathlib.Path(query["socket"][0]).stat().st_uid if "socket" in query else os.getuid()


def _give(path: pathlib.Path, user: int) -> None:
    """Leave a file or folder to one user. Raises MachineError when this user may not."""
    try:
        if user != os.getuid():
            os.chown(path, user, -1)
        path.chmod(0o700 if path.is_dir() else 0o600)
    except PermissionError as error:
        raise MachineError(
            f"libvirt runs QEMU as user {user}, to whom this user cannot give files. "
            "Use LIBVIRT_DEFAULT_URI=qemu:///session."
        ) from error


def _memory_folder() -> pathlib.Path:
    return MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else pathlib.Path(tempfile.gettempdir())


def _file_of(ram: RamFile, user: int) -> pathlib.Path:
    """Return the file with a base's memory that QEMU's user can open; made once for each base."""
    known = _files.setdefault(ram, {})
    if user not in known:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="seuss-ram-", dir=_memory_folder()))
        weakref.finalize(ram, shutil.rmtree, folder, True)
        path = folder / "ram"
        with path.open("wb") as file:
            os.ftruncate(file.fileno(), ram.size)
            at = 0
            while at < ram.size:
                try:
                    at = os.lseek(ram.fd, at, os.SEEK_DATA)
                except OSError:
                    break  # the rest is zeroes
                end = os.lseek(ram.fd, at, os.SEEK_HOLE)
                os.lseek(file.fileno(), at, os.SEEK_SET)
                while at < end:
                    at += os.sendfile(file.fileno(), ram.fd, at, end - at)
        _give(path, user)
        _give(folder, user)
        known[user] = path
    return known[user]
