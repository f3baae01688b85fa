"""The peer "Linux process": a fresh `python3.11 -S -I` that imports the function and calls it once.

The process gets every advantage that leaves the measured thing intact: no site packages, arguments
as a Python literal (so no `import json` unless the function does it), and the clock stops at the
answer, not at the process's end.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Any

from experiments.peers.errors import PeerError
from experiments.peers.meeting import Meeting, arrival
from experiments.peers.own_folder import own_folder
from experiments.peers.peer import CALLER, Channel, Instance, Peer

INTERPRETER = "python3.11"
TIMEOUT_S = 60.0

_CALLER = """
import sys
space = {"__name__": "function"}
with open(sys.argv[1], "rb") as file:
    exec(compile(file.read(), sys.argv[1], "exec"), space)
print(repr(space["main"](eval(sys.argv[2]))), flush=True)
"""


class RunningProcess(Instance):
    """A process of this user that serves on a channel; `reaper` is its handle if it is a child."""

    def __init__(
        self, channel: Channel, pid: int, reaper: asyncio.subprocess.Process | None = None
    ) -> None:
        super().__init__(channel, (pid,))
        self._reaper = reaper

    async def pause(self) -> None:
        """Stop it by SIGSTOP."""
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """Let it go on by SIGCONT."""
        self._signal(signal.SIGCONT)

    async def close(self) -> None:
        """Kill it, and wait for its end if it is a child."""
        await self._channel.close()
        self._signal(signal.SIGKILL)
        if self._reaper is not None:
            await self._reaper.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pids[0], number)


class LinuxProcess(Peer):
    """Fork and exec of an interpreter for each instance."""

    name = "process"
    title = "Linux process"

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        self._python = interpreter()
        self._numbers = itertools.count()
        folder = await stack.enter_async_context(own_folder())
        self._meeting = await stack.enter_async_context(Meeting(folder / "meet"))

    async def _start(self) -> Instance:
        name = str(next(self._numbers))
        async with self._meeting.expect(name) as future:
            process = await asyncio.create_subprocess_exec(
                *(str(self._python), "-S", "-I", str(CALLER), str(self._meeting.place), name),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            try:
                channel, pid = await arrival(future, process)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                raise
        return RunningProcess(channel, pid, process)


@dataclass(frozen=True)
class Answer:
    """What the process answered, and the milliseconds from its start to the whole answer."""

    result: dict[str, Any]
    latency_ms: float


def interpreter() -> pathlib.Path:
    """Return the Python that the peer runs: the one behind this virtual environment, if it is 3.11.

    Raises PeerError when this machine has none.
    """
    own = pathlib.Path(sys.base_prefix) / "bin" / INTERPRETER
    if own.exists():
        return own
    found = shutil.which(INTERPRETER)
    if found is None:
        raise PeerError(
            f"The peer Linux process needs {INTERPRETER}, which is not on this machine. "
            "Install Debian's python3.11."
        )
    return pathlib.Path(found)


def measure(source: bytes, arguments: dict[str, Any]) -> Answer:
    """Start a fresh process on `source`, call main(arguments), and return answer and time.

    Raises PeerError when the process fails, or is not done after `TIMEOUT_S` and was killed.
    """
    python = interpreter()
    with tempfile.NamedTemporaryFile(suffix=".py") as file:
        file.write(source)
        file.flush()
        command = [str(python), "-S", "-I", "-c", _CALLER, file.name, repr(arguments)]
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            watchdog = threading.Timer(TIMEOUT_S, process.kill)
            watchdog.start()
            line = process.stdout.readline()
            latency_ms = (time.perf_counter() - start) * 1000
            _, errors = process.communicate()
            watchdog.cancel()
    if process.returncode != 0:
        raise PeerError(
            f"The function failed in a Linux process with status {process.returncode}.",
            command=command,
            log_tail=errors.decode("utf-8", "replace")[-2000:],
        )
    result: dict[str, Any] = ast.literal_eval(line.decode("utf-8"))
    return Answer(result, latency_ms)
