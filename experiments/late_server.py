"""An HTTP server that answers late, in a process of its own: what IO-bound functions call.

As a program, `late_server.py SECONDS` prints its port on loopback and serves until its standard
input ends. It stands alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sys
from collections.abc import AsyncIterator

PROGRAM = pathlib.Path(__file__).resolve()
TEXT = "late"
_BACKLOG = 1024
"""Connections of a whole burst at once."""


@contextlib.asynccontextmanager
async def late_server(delay_s: float) -> AsyncIterator[int]:
    """Run a server that answers every request after `delay_s` seconds; yield its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), str(delay_s)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(delay_s: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that gives up is no matter of the server's.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(delay_s)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(TEXT)}\r\nConnection: close\r\n\r\n"
            writer.write((head + TEXT).encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=_BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
