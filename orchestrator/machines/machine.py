"""A QEMU process that leaves nothing behind: QMP, console, log and memory by inherited sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from qemu.qmp import EventListener, QMPClient, QMPError
from qemu.qmp.qmp_client import ExecuteError

from orchestrator.errors import MachineError
from orchestrator.machines.command_line import Hardware, Wiring, command_line
from orchestrator.machines.confinement import Confinement, confine
from orchestrator.machines.console import Console
from orchestrator.machines.memory_group import MemoryGroup
from orchestrator.machines.ram import RamFile
from orchestrator.machines.shared_memory import SharedMemory

Result = TypeVar("Result")

EXIT_SUCCESS = 33
"""QEMU's status when the guest writes 0x10 to isa-debug-exit."""
EXIT_FAILURE = 65
"""QEMU's status when the guest writes 0x20: a panic, or a failed test."""
START_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 30.0
LOG_LIMIT = 64 * 1024
"""Bytes of the guest's debug console and of QEMU's own messages that are kept, each."""
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")
"""All that QEMU gets of the orchestrator's environment, which may hold secrets."""

# Without a handler of its own, qemu.qmp would print to stderr whenever a guest ends QEMU.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Machine:
    """A QEMU process; `async with Machine(...)` starts it and ends it whatever happens.

    It dies with the thread that started it (PR_SET_PDEATHSIG), so even `kill -9` of the
    orchestrator leaves no QEMU: start machines from a thread that outlives them.

    Args:
        hardware: what the guest sees.
        ram: file that guest memory starts from, shared and never written, or that is guest memory
            itself; None for empty memory.
        region: memory that the guest sees behind its own and cannot write.
        kernel: guest image to boot; None when the machine's state will come in.
        append: the kernel's command line.
        incoming: whether the machine waits for a migration stream on `stream`.
        paused: whether it waits for `cont` before it runs.
        monitor: listening socket on which a debugger can reach QMP; the caller's.
    """

    def __init__(
        self,
        hardware: Hardware,
        *,
        ram: RamFile | SharedMemory | None = None,
        region: SharedMemory | None = None,
        kernel: pathlib.Path | None = None,
        append: str = "",
        incoming: bool = False,
        paused: bool = False,
        monitor: socket.socket | None = None,
    ) -> None:
        self.hardware = hardware
        self.command: list[str] = []
        self.spawn_ms = 0.0
        """Milliseconds from the start of the process to its answer over QMP."""
        self._ram = ram
        self._region = region
        self._kernel = kernel
        self._append = append
        self._incoming = incoming
        self.paused = paused
        self._monitor = monitor
        self._qmp = QMPClient()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = asyncio.Event()
        self._exceeded = False
        """Whether the kernel ended it for the memory it took."""
        self._debug_log = _LogTail()
        self._qemu_log = _LogTail()
        self._cleanup = contextlib.ExitStack()
        self._console: Console | None = None
        self.stream: socket.socket | None = None
        """The host's end of the incoming stream, non-blocking; None when there is none (left)."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start QEMU and greet it; raises MachineError, and then nothing is left behind."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                qmp, console_far = self._spawn()
                await self._qmp.connect(qmp)
                # QEMU made its end non-blocking, and drops what a full console does not take. The
                # flag is shared by all copies: turned back here, it makes the guest wait instead.
                console_far.setblocking(True)
                console_far.close()
        except (TimeoutError, QMPError) as error:
            cause = "did not greet in time" if isinstance(error, TimeoutError) else "did not start"
            await self.close()
            raise self.error(f"QEMU {cause}") from error
        except OSError as error:
            await self.close()
            raise MachineError(
                f"QEMU cannot be started: {error.strerror}. Free what the host lacks, "
                "or keep fewer machines (--pool).",
                command=self.command,
            ) from error
        except BaseException:
            await self.close()
            raise
        self.spawn_ms = (time.monotonic() - started) * 1000

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """QEMU's exit status, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def log_tail(self) -> str:
        """The last that the guest's debug console and QEMU itself said, for error messages."""
        return self._debug_log.text() + self._qemu_log.text()

    @property
    def debug_output(self) -> bytes:
        """The last bytes the guest wrote to its debug console."""
        return bytes(self._debug_log.kept)

    async def execute(self, command: str, **arguments: object) -> Any:
        """Run a QMP command and return its answer; `_` in argument names stands for `-`.

        Raises MachineError when QEMU refuses, does not answer in time, or ends before it answers.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                return await self._qmp.execute(command, named or None)
        except ExecuteError as error:
            raise self.error(f"QEMU refused {command}: {error}") from error
        except TimeoutError as error:
            raise self.error(f"QEMU did not answer {command} in time") from error
        except QMPError as error:
            raise self.error(f"QEMU ended before it answered {command}") from error

    async def hand_over(self, descriptor: int, name: str) -> None:
        """Give QEMU a copy of `descriptor` under `name`, as `fd:NAME` in later commands.

        Raises MachineError as `execute` does.
        """
        try:
            self._qmp.send_fd_scm(descriptor)
        except (QMPError, OSError) as error:
            raise self.error("QEMU ended before it was given a descriptor") from error
        await self.execute("getfd", fdname=name)

    def events(self, *names: str) -> contextlib.AbstractContextManager[EventListener]:
        """Listen to QMP events of these names while the context lasts."""
        return self._qmp.listener(names)

    async def unless_ended(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await `work`, but raise MachineError as soon as QEMU ends."""
        doing = asyncio.create_task(work)
        ending = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise self.error("QEMU ended")
        finally:
            ending.cancel()
            if doing.cancel():
                await asyncio.wait((doing,))

    async def send(self, data: bytes) -> None:
        """Write to the guest's console; waits while the guest does not read."""
        assert self._console is not None
        await self._console.send(data)

    async def receive(self, limit: int = 1 << 16) -> bytes:
        """Return what the guest wrote to its console, at most `limit` bytes; b"" once it ended."""
        assert self._console is not None
        return await self._console.receive(limit)

    async def stay_paused(self) -> None:
        """Have a machine that waits for a stream stay paused once that has come."""
        await self.execute("stop")
        self.paused = True

    def end_stream(self) -> None:
        """Close the host's end of the incoming stream; all of it has been sent."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def error(self, message: str) -> MachineError:
        """Return an error that carries this machine's command, its status and its last words."""
        self._debug_log.drain()
        self._qemu_log.drain()
        message = message.removesuffix(".")
        ending = None if self.status is None else describe_status(self.status)
        if ending is not None and self._exceeded:
            ending += " at its limit of memory"
        # A message that was made of another one may say it already.
        if ending is not None and ending not in message:
            message = f"{message} ({ending})"
        return MachineError(f"{message}.", command=self.command, log_tail=self.log_tail)

    async def wait(self) -> int:
        """Wait until QEMU has ended by itself, and return its exit status."""
        await self._ended.wait()
        # The guest's last words may still lie in the sockets.
        self._debug_log.drain()
        self._qemu_log.drain()
        assert self._process is not None and self._process.returncode is not None
        return self._process.returncode

    async def close(self) -> None:
        """End QEMU and give everything back. May be called again, and at any time."""
        if self._process is not None and not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        try:
            with contextlib.suppress(Exception):
                await self._qmp.disconnect()
            await self._ended.wait() if self._process is not None else None
        except asyncio.CancelledError:
            # Killed, so this does not take long; leaving a zombie behind would last.
            if self._process is not None:
                self._process.wait()
            raise
        finally:
            self._cleanup.close()

    def _spawn(self) -> tuple[socket.socket, socket.socket]:
        """Start the process; return the host's end of QMP, and a copy of QEMU's of the console."""
        region_size = 0 if self._region is None else self._region.size
        confinement = confine(self.hardware, region_size)
        self._cleanup.callback(confinement.release)
        with contextlib.ExitStack() as given:
            qmp, qmp_far = self._pair(given)
            debug, debug_far = self._pair(given)
            said, said_far = self._pair(given)
            console, console_far = self._pair(given)
            incoming_far = None
            if self._incoming:
                self.stream, incoming_far = self._pair(given)
            wiring = Wiring(
                qmp=qmp_far.fileno(),
                console=console_far.fileno(),
                debug=debug_far.fileno(),
                ram=None if self._ram is None else self._ram.fd,
                ram_shared=isinstance(self._ram, SharedMemory),
                region=None if self._region is None else _read_only(self._region, given),
                region_size=region_size,
                incoming=None if incoming_far is None else incoming_far.fileno(),
                kernel=self._open_kernel(given, confinement),
                monitor=None if self._monitor is None else self._monitor.fileno(),
            )
            self.command = command_line(self.hardware, wiring, self._append, self.paused)
            try:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=said_far.fileno(),
                    stderr=said_far.fileno(),
                    pass_fds=wiring.descriptors(),
                    cwd="/",
                    env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                    preexec_fn=confinement.entering(),
                )
            except FileNotFoundError as error:
                raise MachineError(
                    f"{self.command[0]} cannot be started ({error.strerror}). "
                    "Install Debian's qemu-system-x86.",
                    command=self.command,
                ) from error
            except subprocess.SubprocessError as error:
                raise MachineError(
                    f"QEMU cannot be confined ({error}). Check this user's limits (ulimit -a).",
                    command=self.command,
                ) from error
            far = console_far.dup()
            self._cleanup.callback(far.close)
        self._watch(self._process, confinement.memory)
        self._console = Console(console)
        self._cleanup.callback(self._console.close)
        self._cleanup.callback(self._debug_log.follow(debug))
        self._cleanup.callback(self._qemu_log.follow(said))
        return qmp, far

    def _pair(self, given: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
        """Return two joined sockets: ours, closed with the machine, and QEMU's, with `given`."""
        near, far = socket.socketpair()
        self._cleanup.callback(near.close)
        given.callback(far.close)
        near.setblocking(False)
        return near, far

    def _open_kernel(self, given: contextlib.ExitStack, confinement: Confinement) -> int | None:
        """Open the guest's image for QEMU, whose user may not see the folder it lies in."""
        if self._kernel is None:
            return None
        try:
            file = given.enter_context(self._kernel.open("rb"))
        except OSError as error:
            raise MachineError(
                f"The kernel {self._kernel} cannot be opened ({error.strerror}). "
                "Build it with seuss image build."
            ) from error
        facts = os.fstat(file.fileno())
        if confinement.can_read(facts):
            return file.fileno()
        copy = os.memfd_create("seuss-kernel", os.MFD_CLOEXEC)
        given.callback(os.close, copy)
        while os.sendfile(copy, file.fileno(), None, facts.st_size):
            pass
        return copy

    def _watch(self, process: subprocess.Popen[bytes], memory: MemoryGroup | None) -> None:
        """Reap the process as soon as it ends, and tell those who wait for that."""
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:
            process.kill()
            process.wait()
            self._ended.set()
            raise

        def reap() -> None:
            process.wait()
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self._exceeded = memory is not None and memory.exceeded
            self._ended.set()

        loop.add_reader(descriptor, reap)


def _read_only(region: SharedMemory, given: contextlib.ExitStack) -> int:
    """Return a descriptor that a machine can only read by: other machines trust the region."""
    os.fchmod(region.fd, 0o644)
    descriptor = os.open(f"/proc/self/fd/{region.fd}", os.O_RDONLY | os.O_CLOEXEC)
    given.callback(os.close, descriptor)
    return descriptor


class _LogTail:
    """The last bytes that came out of a socket."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self._source: socket.socket | None = None

    def follow(self, source: socket.socket) -> Callable[[], None]:
        """Read `source` whenever something comes; return what stops that."""
        loop = asyncio.get_running_loop()
        self._source = source
        loop.add_reader(source, self.drain)
        return self._stop

    def drain(self) -> None:
        """Take in what has come so far."""
        while self._source is not None:
            try:
                data = self._source.recv(LOG_LIMIT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._stop()
            self.kept += data
            del self.kept[:-LOG_LIMIT]

    def text(self) -> str:
        """Return what is kept, readable whatever the guest wrote."""
        return self.kept.decode("utf-8", "replace")

    def _stop(self) -> None:
        if self._source is not None:
            asyncio.get_running_loop().remove_reader(self._source)
            self._source = None


def describe_status(status: int) -> str:
    """Say in a clause what an exit status of QEMU means."""
    if status == EXIT_SUCCESS:
        return "the guest ended with success"
    if status == EXIT_FAILURE:
        return "the guest ended with failure"
    if status < 0:
        return f"QEMU was ended by {signal.Signals(-status).name}"
    if status == 0:
        return "the guest reset or powered off"
    return f"QEMU ended with status {status}"
