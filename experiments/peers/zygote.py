"""The peer "zygote": each instance is a fork of an interpreter that has imported common modules."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
import subprocess

from experiments.peers.errors import PeerError
from experiments.peers.linux_process import RunningProcess, interpreter
from experiments.peers.meeting import Meeting, arrival
from experiments.peers.own_folder import own_folder
from experiments.peers.peer import Instance, Peer

PROGRAM = pathlib.Path(__file__).with_name("zygote_program.py")


class Zygote(Peer):
    """Fork without exec."""

    name = "zygote"
    title = "forked zygote process"

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        self._numbers = itertools.count()
        folder = await stack.enter_async_context(own_folder())
        self._meeting = await stack.enter_async_context(Meeting(folder / "meet"))
        self._process = await asyncio.create_subprocess_exec(
            *(str(interpreter()), "-S", "-I", str(PROGRAM)),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        stack.push_async_callback(self._stop)
        # The first fork waits for the imports; later ones must not.
        await self.end(await self.start())

    async def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _start(self) -> Instance:
        name = str(next(self._numbers))
        orders = self._process.stdin
        if orders is None or self._process.returncode is not None:
            raise PeerError("The zygote process ended. Run the experiment again.")
        async with self._meeting.expect(name) as future:
            orders.write(f"{self._meeting.place} {name}\n".encode())
            channel, pid = await arrival(future)
        return RunningProcess(channel, pid)
