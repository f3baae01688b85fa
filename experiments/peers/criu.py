"""The peer "CRIU": each instance is a warmed interpreter restored from one dump of it.

Every copy lives in namespaces of its own: its process number is free there, and it finds its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
import shutil
import subprocess

from experiments.environment import CHECKOUT
from experiments.peers.errors import PeerError
from experiments.peers.linux_process import RunningProcess, interpreter
from experiments.peers.meeting import READY_TIMEOUT_S, Meeting, arrival
from experiments.peers.own_folder import own_folder
from experiments.peers.peer import Channel, Instance, Peer, command
from orchestrator.machines.process import dying_with_this

BUILT = CHECKOUT / "build" / "peers" / "criu" / "criu"
"""Where `make peers` puts one that knows this kernel."""
PROGRAM = pathlib.Path(__file__).with_name("criu_program.py")
LOG_TAIL = 600
_RESTORE = """
mount --bind "$4" "$5" &&
"$1" restore --images-dir "$2" --restore-detached --log-file "$3" -v1 && exec sleep infinity
"""


class Criu(Peer):
    """Restores a process that has imported what calls functions."""

    name = "criu"
    title = "process restored by CRIU"

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        self._criu = program()
        folder = await stack.enter_async_context(own_folder())
        self._folder = folder
        self._numbers = itertools.count()
        for name in ("images", "box", "boxes"):
            (folder / name).mkdir()
        await command(str(self._criu), "check", what="CRIU cannot work on this kernel")
        self._meeting = await stack.enter_async_context(Meeting(folder / "meet"))
        await self._dump()
        # Shows now, not in the middle of a run, whether this kernel lets it restore.
        await self.end(await self.start())

    async def _dump(self) -> None:
        log = self._folder / "dump.log"
        # Not one that dies with its starter: copies would, as soon as CRIU ends.
        process = await asyncio.create_subprocess_exec(
            *(str(interpreter()), "-S", "-I", str(PROGRAM), str(self._folder)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        try:
            await _warm(self._folder / "warm")
            images = str(self._folder / "images")
            await command(
                *(str(self._criu), "dump", "--tree", str(process.pid), "--images-dir", images),
                *("--log-file", str(log), "-v1"),
                what="CRIU cannot dump a process",
            )
        except PeerError as error:
            raise PeerError(f"{error.message} {_tail(log)}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> Instance:
        name = str(next(self._numbers))
        log = self._folder / f"restore-{name}.log"
        box = self._folder / "boxes" / name
        box.mkdir()
        (box / "name").write_text(name)
        async with self._meeting.expect(name) as future:
            # Ends with this process, and all in the namespace with it.
            holder = await asyncio.create_subprocess_exec(
                *("unshare", "--fork", "--pid", "--mount-proc", "--kill-child"),
                *("sh", "-c", _RESTORE, "sh", str(self._criu)),
                *(str(self._folder / "images"), str(log), str(box), str(self._folder / "box")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=dying_with_this(),
            )
            try:
                channel, pid = await arrival(future, holder)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    holder.kill()
                await holder.wait()
                if isinstance(error, PeerError):
                    raise PeerError(f"CRIU cannot restore a process: {_tail(log)}") from error
                raise
        return _Restored(channel, pid, holder)


class _Restored(RunningProcess):
    """A copy: it ends with the first process of its namespace, which ends with the holder."""

    def __init__(self, channel: Channel, pid: int, holder: asyncio.subprocess.Process) -> None:
        super().__init__(channel, pid)
        self._holder = holder

    async def close(self) -> None:
        """End the namespace."""
        with contextlib.suppress(ProcessLookupError):
            self._holder.kill()
        await self._holder.wait()
        await super().close()


def program() -> pathlib.Path:
    """Return the criu that `make peers` built, else the machine's; PeerError without one."""
    if BUILT.exists():
        return BUILT
    found = shutil.which("criu")
    if found is None:
        raise PeerError("There is no criu on this machine. Run `make peers`.")
    return pathlib.Path(found)


async def _warm(sign: pathlib.Path) -> None:
    """Wait for the program's sign that it is ready to be dumped."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not await asyncio.to_thread(sign.exists):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
    except TimeoutError as error:
        raise PeerError(
            f"The process that CRIU shall dump was not ready after {READY_TIMEOUT_S:g} s. "
            "Look at the machine's load and free memory."
        ) from error


def _tail(log: pathlib.Path) -> str:
    """Return what CRIU said last, in one line."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "It wrote no log."
    return " ".join(text.split())[-LOG_TAIL:]
