"""Clients that send too much, too slowly, or nonsense; each is refused, and others are served."""

from __future__ import annotations

import asyncio
import pathlib
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest

from orchestrator.gateway.bodies import ARGUMENTS_LIMIT, FUNCTION_LIMIT, Bodies
from orchestrator.gateway.gateway import Gateway
from orchestrator.gateway.metrics import Metrics
from orchestrator.platform.platform import Platform
from orchestrator.platform.policies import Policies
from tests.unit.orchestrator.platform.fakes import Fakes, echo, fake_settings, until

HEAD = b"POST /functions/echo/invoke HTTP/1.1\r\nHost: localhost\r\n"


async def sent(gateway: Gateway, data: bytes) -> bytes:
    """Send bytes on a connection of their own; return all that comes until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def served(client: aiohttp.ClientSession) -> bool:
    async with client.post("/functions/echo/invoke", json={"n": 1}) as answer:
        return answer.status == 200


@pytest.mark.parametrize("body_deadline_s", [30.0])
@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/functions/echo/invoke", ARGUMENTS_LIMIT),
        ("PUT", "/functions/f", FUNCTION_LIMIT),
        ("POST", "/api/v1/namespaces/_/actions/echo?blocking=true", ARGUMENTS_LIMIT),
    ],
)
async def test_too_large_a_body(
    client: aiohttp.ClientSession, method: str, path: str, limit: int, said: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(limit // 65536 + 2):
            yield b" " * 65536

    body = b" " * (limit + 1) if said else pieces()
    try:
        async with client.request(method, path, data=body) as answer:
            assert answer.status == 413
            assert f"at most {limit} bytes" in await answer.text()
    except aiohttp.ClientConnectionError:
        pass  # it was closed while the client still sent
    assert await served(client)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "unheard-of"])
async def test_a_body_is_never_unpacked(client: aiohttp.ClientSession, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    async with client.post("/functions/echo/invoke", data=b"\x1f", headers=headers) as answer:
        assert answer.status == 415
        assert repr(coding) in (await answer.json())["error"]["message"]
    assert await served(client)


async def test_bodies_that_are_too_much_together(client: aiohttp.ClientSession) -> None:
    async def large() -> int:
        try:
            async with client.put("/functions/f", data=b" " * FUNCTION_LIMIT) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 503

    statuses = await asyncio.gather(*(large() for _ in range(4)))
    assert set(statuses) <= {400, 408, 503}
    assert await served(client)


async def test_arguments_that_nobody_waits_for_take_memory(
    platform: Platform, metrics: Metrics, fakes: Fakes
) -> None:
    size = 4 << 20
    bodies = Bodies(memory=3 * size - 1)
    body = b'{"wait": true, "more": "' + b"x" * (size - 26) + b'"}'
    action = "/api/v1/namespaces/_/actions/echo"
    async with (
        Gateway(platform, metrics, port=0, bodies=bodies) as gateway,
        aiohttp.ClientSession(gateway.url) as client,
    ):

        async def begun() -> int:
            async with client.post(action, data=body) as answer:
                return answer.status

        assert [await begun() for _ in range(3)] == [202, 202, 503]
        fakes.of("uc").go.set()
        await until(lambda: platform.admission("uc").running == 0)
        assert await begun() == 202
        await until(lambda: platform.admission("uc").running == 0)


async def test_a_body_that_comes_too_slowly(
    gateway: Gateway, client: aiohttp.ClientSession
) -> None:
    answer = await sent(gateway, HEAD + b"Content-Length: 10\r\n\r\n{")
    assert b" 408 " in answer and b"did not come within" in answer
    assert await served(client)


@pytest.mark.parametrize("data", [b"", b"POST", HEAD, HEAD + b"X: " + b"y" * 100])
async def test_a_head_that_never_ends(
    gateway: Gateway, client: aiohttp.ClientSession, data: bytes
) -> None:
    assert await sent(gateway, data) == b""
    assert await served(client)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
async def test_what_is_no_http(
    gateway: Gateway, client: aiohttp.ClientSession, data: bytes
) -> None:
    answer = await sent(gateway, data)
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert await served(client)


async def test_noise(gateway: Gateway, client: aiohttp.ClientSession) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    noise = random.Random(seed)
    for _ in range(20):
        data = bytearray(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
        for _ in range(noise.randrange(1, 8)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        await sent(gateway, bytes(data))
    assert await served(client)


async def test_more_connections_than_may_be(
    gateway: Gateway, client: aiohttp.ClientSession
) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(4)]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    for _, each in opened:
        each.close()
    while True:
        try:
            assert await served(client)
            break
        except (aiohttp.ClientConnectionError, AssertionError):
            await asyncio.sleep(0.01)


async def test_a_full_queue_is_told_and_not_a_closed_door(
    tmp_path: pathlib.Path, fakes: Fakes, metrics: Metrics
) -> None:
    policies = Policies(contexts=64, machines=1, queue=512)
    async with (
        Platform(fake_settings(tmp_path), policies, make=fakes.make) as platform,
        Gateway(platform, metrics, port=0) as gateway,
        aiohttp.ClientSession(
            gateway.url, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(60)
        ) as client,
    ):
        platform.registry.put(echo())

        async def status() -> int:
            async with client.post("/functions/echo/invoke", json={"wait": True}) as answer:
                return answer.status

        waiting = [asyncio.create_task(status()) for _ in range(64 + 512)]
        await until(lambda: platform.admission("uc").waiting == 512)
        assert await status() == 429
        fakes.of("uc").go.set()
        assert set(await asyncio.gather(*waiting)) == {200}


async def test_a_client_that_does_not_read(platform: Platform, metrics: Metrics) -> None:
    async with Gateway(platform, metrics, port=0, idle_s=5.0, send_s=0.3) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1024)
        body = b'{"print": "' + b"x" * (4 << 20) + b'"}'
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        await until(lambda: b'status="499"' in metrics.text())
        writer.close()
