"""Functions that call out, to a server of this process, in both isolations."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import pathlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator.errors import SettingsError
from orchestrator.paths import Path
from orchestrator.settings import Isolation, Machine
from orchestrator.uc.dispatcher import UcDispatcher
from tests.integration.calling_out import (
    HOST,
    QUIET_LOOKS,
    QUIET_PAUSE_S,
    Server,
    digest,
    document,
    hung_up,
    may_reach,
    running,
    settings,
)

NAMES = {"listed.test": "192.0.2.7"}
"""What the tests' own names mean."""
DOCUMENTS = 20
CONTEXTS = 200

FETCH = b"""
import asyncio, hashlib, http.client, urllib.request

def with_urllib(host, port, path, body):
    url = f"http://{host}:{port}{path}"
    with urllib.request.urlopen(url, data=body, timeout=20) as answer:
        return answer.read()

def with_client(host, port, path, body):
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("POST" if body else "GET", path, body)
    data = connection.getresponse().read()
    connection.close()
    return data

async def stream(host, port, path, body):
    reader, writer = await asyncio.open_connection(host, port)
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.0\\r\\nContent-Length: {len(body or b'')}"
    writer.write(head.encode() + b"\\r\\n\\r\\n" + (body or b""))
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\\r\\n\\r\\n")[2]

def with_asyncio(*place):
    return asyncio.run(stream(*place))

def main(args):
    fetch = {"urllib": with_urllib, "client": with_client, "asyncio": with_asyncio}[args["with"]]
    body = b"b" * args.get("body", 0) or None
    found = [fetch(args["host"], args["port"], path, body) for path in args["paths"]]
    return {"digests": [hashlib.sha256(each).hexdigest() for each in found]}
"""
TRY = b"""
import socket

def attempt(do):
    try:
        return do()
    except OSError as error:
        return type(error).__name__

def main(args):
    def connect():
        with socket.create_connection((args["host"], args["port"]), timeout=10) as made:
            return made.getsockname()
    return {
        "connect": attempt(connect),
        "datagram": attempt(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
            b"out", (args["host"], args["port"]))),
        "names": [attempt(lambda: sorted({each[4][0] for each in socket.getaddrinfo(
            name, 80, socket.AF_INET, socket.SOCK_STREAM)})) for name in args["names"]],
    }
"""
ASK = b"""
import asyncio, socket

class Asker(asyncio.DatagramProtocol):
    def __init__(self):
        self.heard = asyncio.get_running_loop().create_future()
    def datagram_received(self, data, sender):
        self.heard.set_result([data.decode(), sender[1]])
    def error_received(self, error):
        self.heard.set_exception(error)

async def endpoint(place):
    loop = asyncio.get_running_loop()
    transport, asker = await loop.create_datagram_endpoint(Asker, remote_addr=place)
    transport.sendto(b"endpoint")
    try:
        return await asyncio.wait_for(asker.heard, 10)
    finally:
        transport.close()

def main(args):
    place = args["host"], args["port"]
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.settimeout(10)
        made.sendto(b"unconnected", place)
        first = made.recvfrom(100)
        made.connect(place)
        made.sendmsg([b"x" * 700, b"x" * 700])
        second = made.recv(2000)
        try:
            made.send(b"x" * 1473)
        except OSError as error:
            big = error.errno
    return {
        "first": first[0].decode(), "from": first[1], "second": len(second), "big": big,
        "endpoint": asyncio.run(endpoint(place)),
    }
"""
KEPT = b"""
import socket

KEPT = socket.create_connection(PLACE, timeout=10)
KEPT.sendall(b"GET /0 HTTP/1.1\\r\\n\\r\\n")
FIRST = len(KEPT.recv(1 << 16))

def main(args):
    try:
        KEPT.sendall(b"GET /0 HTTP/1.1\\r\\n\\r\\n")
        more = len(KEPT.recv(1 << 16))
    except ConnectionError as error:
        more = type(error).__name__
    with socket.create_connection(PLACE, timeout=10) as fresh:
        fresh.sendall(b"GET /0 HTTP/1.0\\r\\n\\r\\n")
        return {"kept": more, "fresh": len(fresh.recv(1 << 16)) > 0, "port": fresh.getsockname()[1]}
"""
AFTERWARDS = b"""
import socket, threading, time

SEEN = []
PLACE = ()

def look():
    while True:
        try:
            socket.create_connection(PLACE, timeout=10).close()
            seen = "out"
        except OSError as error:
            seen = type(error).__name__
        if seen not in SEEN:
            SEEN.append(seen)
        time.sleep(0.01)

def main(args):
    global PLACE
    if not PLACE:
        PLACE = args["host"], args["port"]
        threading.Thread(target=look, daemon=True).start()
    while "out" not in SEEN:
        time.sleep(0.01)
    return {"seen": SEEN}
"""


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    told = Server(0)
    listening = await asyncio.start_server(told.serve, "127.0.0.1", 0, backlog=CONTEXTS)
    told.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield told


@pytest.mark.parametrize(
    ("isolation", "machine"), [("vm", "microvm"), ("uc", "microvm"), ("uc", "q35")]
)
async def test_a_function_calls_out(
    server: Server, tmp_path: pathlib.Path, isolation: Isolation, machine: Machine
) -> None:
    function = may_reach(FETCH, f"{HOST}:{server.port}")
    paths = [f"/{number}" for number in range(3)]
    place = {"host": HOST, "port": server.port}
    chosen = replace(settings(tmp_path, isolation), machine=machine)
    async with running(chosen) as dispatcher:
        for kind in ("urllib", "client", "asyncio"):
            answer = await dispatcher.invoke(function, place | {"with": kind, "paths": paths})
            assert answer.result == {"digests": [digest(document(path)) for path in paths]}, answer
            body = {"body": 300_000, "with": kind, "paths": ["/0"]}
            answer = await dispatcher.invoke(function, place | body)
            assert answer.result == {"digests": [digest(b"b" * 300_000)]}, answer
    assert (server.answered, server.open, server.broken) == (12, 0, 0)


@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_only_what_is_on_the_list_is_reached(
    server: Server,
    tmp_path: pathlib.Path,
    isolation: Isolation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: look_up(NAMES.get(host, host), *rest, **more),
    )
    place = {"host": HOST, "port": server.port, "names": ["listed.test", "localhost"]}
    listed = may_reach(TRY, f"{HOST}:{server.port}", "listed.test:80")
    other = may_reach(TRY, f"{HOST}:{server.port % 65535 + 1}", "other.invalid:80")
    nothing = may_reach(TRY)
    async with running(settings(tmp_path, isolation)) as dispatcher:
        answer = await dispatcher.invoke(listed, place)
        assert answer.result is not None, answer
        assert answer.result["connect"][0] == "10.0.2.15"
        assert answer.result["names"] == [[NAMES["listed.test"]], ["127.0.0.1"]]
        assert answer.result["datagram"] == 3
        answer = await dispatcher.invoke(other, place)
        refused = {
            "connect": "PermissionError",
            "datagram": "PermissionError",
            "names": ["gaierror", ["127.0.0.1"]],
        }
        assert answer.result == refused
        answer = await dispatcher.invoke(nothing, place)
        assert answer.result == refused
        # The function that was allowed to is allowed to by its own requests only.
        again = await dispatcher.invoke(listed, place)
        assert again.result is not None and again.result["connect"][0] == "10.0.2.15"


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        self.transport.sendto(data, sender)


@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_datagrams_go_out(tmp_path: pathlib.Path, isolation: Isolation) -> None:
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    port = echo.get_extra_info("sockname")[1]
    place = {"host": HOST, "port": port}
    with contextlib.closing(echo):
        async with running(settings(tmp_path, isolation)) as dispatcher:
            for path in (Path.COLD, Path.WARM, Path.AUTO):
                answer = await dispatcher.invoke(may_reach(ASK, f"{HOST}:{port}"), place, path)
                assert answer.result == {
                    "first": "unconnected",
                    "from": [HOST, port],
                    "second": 1400,
                    "big": errno.EMSGSIZE,
                    "endpoint": ["endpoint", port],
                }, answer


async def test_without_a_card_nothing_is_sent(tmp_path: pathlib.Path) -> None:
    place = {"host": HOST, "port": 80, "names": []}
    async with running(settings(tmp_path, "uc", network=False)) as dispatcher:
        assert isinstance(dispatcher, UcDispatcher)
        answer = await dispatcher.invoke(may_reach(TRY), place)
        assert answer.result is not None and answer.result["connect"] == "OSError"
        assert "frames_sent" not in await (await dispatcher.life()).node.status()
        with pytest.raises(SettingsError, match="no network card"):
            await dispatcher.invoke(may_reach(TRY, "example.org:80"), place)


async def test_a_function_without_rights_sends_no_frame(
    server: Server, tmp_path: pathlib.Path
) -> None:
    place = {"host": HOST, "port": server.port, "names": []}
    async with running(settings(tmp_path, "uc")) as dispatcher:
        assert isinstance(dispatcher, UcDispatcher)
        node = (await dispatcher.life()).node
        before = (await node.status())["frames_sent"]
        for path in (Path.COLD, Path.WARM, Path.HOT):
            answer = await dispatcher.invoke(may_reach(TRY), place, path)
            assert answer.result is not None and answer.result["connect"] == "PermissionError"
        assert (await node.status())["frames_sent"] == before
    assert server.answered == 0


async def test_rights_end_with_the_request(server: Server, tmp_path: pathlib.Path) -> None:
    """A context stays idle after its function was deployed anew without places to reach."""
    function = may_reach(AFTERWARDS, f"{HOST}:{server.port}")
    place = {"host": HOST, "port": server.port}
    async with running(settings(tmp_path, "uc")) as dispatcher:
        first = await dispatcher.invoke(function, place)
        assert first.ok, first
        for _ in range(QUIET_LOOKS):
            await asyncio.sleep(QUIET_PAUSE_S)
            again = await dispatcher.invoke(function, place, Path.HOT)
            assert again.result is not None, again
            if "PermissionError" in again.result["seen"]:
                break
        else:
            pytest.fail(f"between requests it saw {again.result}")


@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_a_connection_of_the_snapshot_is_closed_in_clones(
    server: Server, tmp_path: pathlib.Path, isolation: Isolation
) -> None:
    code = f"PLACE = ({HOST!r}, {server.port})\n".encode() + KEPT
    function = may_reach(code, f"{HOST}:{server.port}")
    async with running(settings(tmp_path, isolation)) as dispatcher:
        first = await dispatcher.invoke(function, {})
        assert first.result is not None, first
        clones = [await dispatcher.invoke(function, {}, Path.WARM) for _ in range(4)]
    ports = set()
    for clone in clones:
        assert clone.result is not None, clone
        assert clone.result["kept"] in ("ConnectionResetError", "BrokenPipeError")
        assert clone.result["fresh"]
        ports.add(clone.result["port"])
    assert len(ports) > 1


async def test_many_contexts_fetch_at_the_same_time(server: Server, tmp_path: pathlib.Path) -> None:
    function = may_reach(FETCH, f"{HOST}:{server.port}")
    paths = [f"/{number}" for number in range(DOCUMENTS)]
    expected = {"digests": [digest(document(path)) for path in paths]}
    place = {"host": HOST, "port": server.port, "with": "client"}
    chosen = replace(settings(tmp_path, "uc"), memory_mib=1024, timeout_s=200.0)
    async with running(chosen) as dispatcher:
        assert isinstance(dispatcher, UcDispatcher)
        first = await dispatcher.invoke(function, place | {"paths": []})
        assert first.ok, first

        async def call() -> object:
            return (await dispatcher.invoke(function, place | {"paths": paths}, Path.WARM)).result

        answers = await asyncio.gather(*(call() for _ in range(CONTEXTS)))
        assert answers == [expected] * CONTEXTS
        await hung_up((await dispatcher.life()).node)
    assert (server.answered, server.open, server.broken) == (CONTEXTS * DOCUMENTS, 0, 0)
