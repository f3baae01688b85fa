"""JavaScript functions that fetch, from a server of this process, in both isolations."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator.function import Function
from orchestrator.network import parse_all
from orchestrator.paths import Path
from orchestrator.settings import Isolation, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from tests.integration.calling_out import (
    HOST,
    Server,
    document,
    hung_up,
    running,
    settings,
)
from tests.integration.conftest import BUILD

DOCUMENTS = 20
CONTEXTS = 50
AT_ONCE = 25

FETCH = """
function sum(bytes) {
  let sum = bytes.length;
  for (let i = 0; i < bytes.length; i += 61) sum = (sum * 31 + bytes[i]) % 1000003;
  return sum;
}
async function main({url, paths, body}) {
  const init = body ? {method: "POST", body: "b".repeat(body)} : {};
  const answers = await Promise.all(paths.map((path) => fetch(url + path, init)));
  return {sums: await Promise.all(answers.map(async (each) => sum(await each.bytes())))};
}
"""
TRY = """
async function main({urls}) {
  const tried = urls.map((url) => fetch(url).then((answer) => answer.status, String));
  return {told: await Promise.all(tried)};
}
"""
KEPT = """
const kept = await fetch(PLACE + "/600");
export async function main() {
  const lost = await kept.bytes().then((bytes) => bytes.length, (error) => error.name);
  return {lost, fresh: (await (await fetch(PLACE + "/0")).bytes()).length};
}
"""


def checksum(data: bytes) -> int:
    """Return what FETCH tells of a body."""
    total = len(data)
    for byte in data[::61]:
        total = (total * 31 + byte) % 1000003
    return total


def may_fetch(code: str, *places: str) -> Function:
    return Function("fetches", "source", code.encode(), runtime="js", network=parse_all(places))


def javascript(store: pathlib.Path, isolation: Isolation) -> Settings:
    return replace(settings(store, isolation), runtime="js", image=BUILD / "ebbrt-js.elf")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    told = Server(0)
    listening = await asyncio.start_server(told.serve, "127.0.0.1", 0, backlog=1000)
    told.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield told


@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_a_function_fetches_what_it_may(
    server: Server, tmp_path: pathlib.Path, isolation: Isolation
) -> None:
    url = f"http://{HOST}:{server.port}"
    function = may_fetch(FETCH, f"{HOST}:{server.port}")
    paths = [f"/{number}" for number in range(3)]
    beyond = [f"http://{HOST}:{server.port % 65535 + 1}/", "http://other.invalid/"]
    async with running(javascript(tmp_path, isolation)) as dispatcher:
        answer = await dispatcher.invoke(function, {"url": url, "paths": paths})
        assert answer.result == {"sums": [checksum(document(path)) for path in paths]}, answer
        posted = await dispatcher.invoke(function, {"url": url, "paths": ["/0"], "body": 300_000})
        assert posted.result == {"sums": [checksum(b"b" * 300_000)]}, posted
        tried = may_fetch(TRY, f"{HOST}:{server.port}")
        told = await dispatcher.invoke(tried, {"urls": [f"{url}/0", *beyond]})
        assert told.result is not None, told
        status, port, name = told.result["told"]
        assert status == 200
        assert port.startswith(f"TypeError: GET {beyond[0]}: the function may not reach that place")
        assert "may reach no host other.invalid" in name
        nothing = await dispatcher.invoke(may_fetch(TRY), {"urls": [f"{url}/0"]})
        assert nothing.result is not None and "TypeError" in nothing.result["told"][0]
    assert (server.answered, server.open, server.broken) == (5, 0, 0)


async def test_a_response_of_the_snapshot_is_lost_in_clones(
    server: Server, tmp_path: pathlib.Path
) -> None:
    code = f'const PLACE = "http://{HOST}:{server.port}";\n{KEPT}'
    function = may_fetch(code, f"{HOST}:{server.port}")
    async with running(javascript(tmp_path, "uc")) as dispatcher:
        clones = [await dispatcher.invoke(function, {}, Path.WARM) for _ in range(3)]
    for clone in clones:
        assert clone.result == {"lost": "TypeError", "fresh": 32}, clone


async def test_many_clones_fetch_many_at_once(server: Server, tmp_path: pathlib.Path) -> None:
    function = may_fetch(FETCH, f"{HOST}:{server.port}")
    paths = [f"/{number}" for number in range(DOCUMENTS)]
    expected = {"sums": [checksum(document(path)) for path in paths]}
    args = {"url": f"http://{HOST}:{server.port}", "paths": paths}
    chosen = replace(javascript(tmp_path, "uc"), memory_mib=1024, timeout_s=200.0)
    async with running(chosen) as dispatcher:
        assert isinstance(dispatcher, UcDispatcher)
        first = await dispatcher.invoke(function, args | {"paths": []})
        assert first.ok, first
        some = asyncio.Semaphore(AT_ONCE)

        async def call() -> object:
            async with some:
                return (await dispatcher.invoke(function, args, Path.WARM)).result

        answers = await asyncio.gather(*(call() for _ in range(CONTEXTS)))
        assert answers == [expected] * CONTEXTS
        await hung_up((await dispatcher.life()).node)
    assert (server.answered, server.open, server.broken) == (CONTEXTS * DOCUMENTS, 0, 0)
