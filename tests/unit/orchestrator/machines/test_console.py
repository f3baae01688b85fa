"""The host's end of a console, with a socket in the guest's place."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from orchestrator.machines.console import READ_SIZE, Console

DEADLINE_S = 20.0
CHUNKS = 64


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Console, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    console = Console(near)
    yield console, far
    console.close()
    far.close()


async def test_reader_of_much_lets_others_run(ends: tuple[Console, socket.socket]) -> None:
    console, far = ends
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.get_running_loop().sock_sendall(far, bytes(CHUNKS * READ_SIZE))
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        left = CHUNKS * READ_SIZE
        while left:
            left -= len(await console.receive())
        beside.cancel()
    assert turns >= CHUNKS // 2


async def test_close_ends_the_reader(ends: tuple[Console, socket.socket]) -> None:
    console, _ = ends
    reading = asyncio.create_task(console.receive())
    await asyncio.sleep(0)
    console.close()
    async with asyncio.timeout(DEADLINE_S):
        assert await reading == b""


async def test_guest_that_ends_is_read_to_the_end(ends: tuple[Console, socket.socket]) -> None:
    console, far = ends
    far.send(b"last words")
    far.close()
    async with asyncio.timeout(DEADLINE_S):
        assert await console.receive(4) == b"last"
        assert await console.receive() == b" words"
        assert await console.receive() == b""
