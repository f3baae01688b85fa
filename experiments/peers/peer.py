"""What every peer is: something that starts instances, each of which serves one function."""

from __future__ import annotations

import abc
import ast
import asyncio
import contextlib
import pathlib
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from experiments.peers.errors import PeerError

CALLER = pathlib.Path(__file__).with_name("caller.py")
LINE_LIMIT = 8 << 20
"""Bytes of one answer; as much as SEUSS's wire format carries."""
CALL_TIMEOUT_S = 120.0
NOT_FOUND = 127
"""What shells and their like end with where there is no such program."""


class Channel:
    """The host's end of a caller's stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, source: bytes | None, arguments: dict[str, Any] | None) -> dict[str, Any]:
        """Send one order and return its answer; PeerError when there is none or it failed."""
        self._writer.write(repr((source, arguments)).encode() + b"\n")
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                line = await self._reader.readline()
            fine, answer = ast.literal_eval(line.decode("utf-8"))
        except (TimeoutError, OSError, ValueError, SyntaxError, TypeError) as error:
            raise PeerError(
                f"A peer did not answer in {CALL_TIMEOUT_S:g} s or ended ({error!r}). "
                "Look at the machine's free memory, and run the experiment again."
            ) from error
        if not fine or not isinstance(answer, dict):
            raise PeerError(f"The function failed in a peer: {answer}")
        return answer

    async def close(self) -> None:
        """Close the stream; the caller ends by that."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Instance(abc.ABC):
    """One started peer that is ready to take a function.

    `pids` are the processes that exist because of it, as the host numbers them.
    """

    def __init__(self, channel: Channel, pids: Sequence[int]) -> None:
        self._channel = channel
        self.pids = tuple(pids)

    async def load(self, source: bytes) -> None:
        """Import a function without calling it."""
        await self._channel.ask(source, None)

    async def call(self, arguments: dict[str, Any], source: bytes | None = None) -> dict[str, Any]:
        """Call the function loaded before, or `source`; PeerError when that fails."""
        return await self._channel.ask(source, arguments)

    def memory(self) -> int:
        """Return the proportional set size (PSS) of its processes, in bytes."""
        return sum(proportional_set(pid) for pid in self.pids)

    @abc.abstractmethod
    async def pause(self) -> None:
        """Stop it from running, as a pool does with idle ones."""

    @abc.abstractmethod
    async def resume(self) -> None:
        """Let it run again."""

    @abc.abstractmethod
    async def close(self) -> None:
        """End it, running or paused, and leave nothing of it."""


class Peer(abc.ABC):
    """An isolation method of others. An async context manager.

    Entering raises PeerError with the reason where this machine cannot run it; leaving ends what
    was started.
    """

    name: ClassVar[str]
    """Short name in records."""
    title: ClassVar[str]
    """Name in reports."""

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        self._instances: set[Instance] = set()
        await self._stack.__aenter__()
        try:
            await self._open(self._stack)
        except OSError as error:
            await self._stack.aclose()
            raise PeerError(
                f"{self.title} cannot be set up here ({error}). `make peers` installs what it "
                "needs; it may need root."
            ) from error
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.end_all(self._instances)
        finally:
            await self._stack.aclose()

    async def start(self) -> Instance:
        """Start an instance and wait until it is ready. Raises PeerError."""
        instance = await self._start()
        self._instances.add(instance)
        return instance

    def kernel_memory(self) -> int:
        """Return what the host's kernel is known to keep for the instances, in bytes.

        Here their page tables; where they have control groups, all that is charged to these.
        """
        return sum(page_tables(pid) for each in self._instances for pid in each.pids)

    async def end(self, instance: Instance) -> None:
        """Close an instance that `start` gave."""
        self._instances.discard(instance)
        await instance.close()

    async def end_all(self, instances: Iterable[Instance]) -> None:
        """Close many instances that `start` gave."""
        await asyncio.gather(*(self.end(each) for each in tuple(instances)))

    @abc.abstractmethod
    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Set up what instances share; raises PeerError with the reason if that cannot be."""

    @abc.abstractmethod
    async def _start(self) -> Instance:
        """Start an instance; leave nothing if that fails."""


def proportional_set(pid: int, proc: pathlib.Path = pathlib.Path("/proc")) -> int:
    """Return a process's PSS in bytes; 0 when it is gone."""
    return _bytes_of("Pss", proc / str(pid) / "smaps_rollup")


def page_tables(pid: int, proc: pathlib.Path = pathlib.Path("/proc")) -> int:
    """Return the bytes of a process's page tables; 0 when it is gone."""
    return _bytes_of("VmPTE", proc / str(pid) / "status")


def _bytes_of(wanted: str, place: pathlib.Path) -> int:
    with contextlib.suppress(OSError):
        for line in place.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == wanted:
                return int(rest.split()[0]) * 1024
    return 0


async def command(
    *words: str,
    what: str,
    stdin: int | None = asyncio.subprocess.DEVNULL,
    timeout_s: float = 120.0,
    check: Callable[[int], bool] = lambda status: status == 0,
) -> str:
    """Run a command and return what it printed; PeerError that says `what` could not be done.

    A caller that is cancelled still waits for the command's end: engines that are cut off leave
    halves of containers behind.
    """
    work = asyncio.ensure_future(_completed(words, what, stdin, timeout_s))
    try:
        status, out, errors = await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
    except TimeoutError as error:
        raise PeerError(
            f"{what}: not done after {timeout_s:g} s. Look at the load of this machine.",
            command=words,
        ) from error
    if not check(status):
        said = errors.strip() or out.strip() or "nothing was said"
        hint = " `make peers` installs what is missing." if status == NOT_FOUND else ""
        raise PeerError(f"{what}: status {status}: {said}.{hint}", command=words)
    return out


async def _completed(
    words: Sequence[str], what: str, stdin: int | None, timeout_s: float
) -> tuple[int, str, str]:
    """Run a command; return its status, its output and its messages."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C is for us: an engine that is cut off leaves halves of containers behind.
            start_new_session=True,
        )
    except OSError as error:
        raise PeerError(
            f"{what}: {words[0]} cannot be started ({error.strerror}). `make peers` installs it.",
            command=words,
        ) from error
    try:
        async with asyncio.timeout(timeout_s):
            out, errors = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    status = process.returncode or 0
    return status, out.decode("utf-8", "replace"), errors.decode("utf-8", "replace")
