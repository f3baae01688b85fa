"""For tests of functions that call out: a server of this process, and dispatchers with a card."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import pathlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from orchestrator.function import Function
from orchestrator.network import parse_all
from orchestrator.settings import Isolation, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import UcNode
from orchestrator.vm.dispatcher import VmDispatcher
from tests.integration.conftest import BUILD
from tests.integration.guests import holdings

IMAGE = BUILD / "ebbrt-python.elf"
HOST = "10.0.2.2"
"""This machine's loopback, as guests on a user-mode network see it."""
QUIET_LOOKS = 100
QUIET_PAUSE_S = 0.1


def document(path: str) -> bytes:
    """Return what the server has under a path: up to some 60 KB, another for every path."""
    number = int(path.removeprefix("/"))
    return hashlib.sha256(path.encode()).digest() * (1 + number * 97)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Server:
    """An HTTP server that answers GET with a document and POST with the body."""

    port: int
    answered: int = 0
    open: int = 0
    broken: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while await self._answer(reader, writer):
                pass
        except asyncio.IncompleteReadError as error:
            self.broken += bool(error.partial)
        except ConnectionError:
            self.broken += 1
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the client may make another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        words = head.split()
        fields = {
            line.partition(":")[0].lower(): line.partition(":")[2] for line in head.splitlines()[1:]
        }
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        answer = body if words[0] == "POST" else document(words[1])
        writer.write(f"{words[2]} 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode())
        writer.write(answer)
        await writer.drain()
        self.answered += 1
        return words[2] == "HTTP/1.1" and "connection" not in fields


def settings(store: pathlib.Path, isolation: Isolation, network: bool = True) -> Settings:
    memory = 512 if isolation == "uc" else 128
    return Settings(
        image=IMAGE,
        store=store,
        accelerator="tcg",
        isolation=isolation,
        memory_mib=memory,
        pool_size=1,
        timeout_s=60.0,
        network=network,
    )


@contextlib.asynccontextmanager
async def running(chosen: Settings) -> AsyncIterator[VmDispatcher | UcDispatcher]:
    before = holdings()
    made = VmDispatcher(chosen) if chosen.isolation == "vm" else UcDispatcher(chosen)
    async with made as dispatcher:
        yield dispatcher
    # The server, too, is of this process, and hears a little later that its clients are gone.
    for _ in range(QUIET_LOOKS):
        if holdings() == before:
            break
        await asyncio.sleep(QUIET_PAUSE_S)
    assert holdings() == before


def may_reach(code: bytes, *places: str) -> Function:
    return Function("calls_out", "source", code, network=parse_all(places))


async def hung_up(node: UcNode) -> None:
    """Wait a while for the node's last connection to end; fail if one stays."""
    for _ in range(QUIET_LOOKS):
        if not (await node.status())["connections"]:
            return
        await asyncio.sleep(QUIET_PAUSE_S)
    raise AssertionError(f"connections stay open: {await node.status()}")
