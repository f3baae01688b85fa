"""Servers and clients inside one function: each UC has a loopback of its own."""

from __future__ import annotations

import errno
import pathlib

import pytest

from orchestrator.function import Function
from orchestrator.paths import Path
from orchestrator.settings import Isolation
from orchestrator.uc.dispatcher import UcDispatcher
from tests.integration.calling_out import HOST, running, settings

STREAMS = b"""
import asyncio

async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()

async def talk(port, number):
    reader, writer = await asyncio.open_connection("localhost", port)
    heard = []
    for turn in range(3):
        writer.write(f"client {number} turn {turn}\\n".encode() + b"x" * 30000 + b"\\n")
        await writer.drain()
        heard.append((await reader.readline()).decode().strip())
        assert await reader.readline() == b"X" * 30000 + b"\\n"
    writer.close()
    await writer.wait_closed()
    return heard

class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, sender):
        self.transport.sendto(data[::-1], sender)

class Asker(asyncio.DatagramProtocol):
    def __init__(self):
        self.heard = asyncio.get_running_loop().create_future()
    def datagram_received(self, data, sender):
        self.heard.set_result([data.decode(), sender[0]])

async def both(clients):
    server = await asyncio.start_server(answer, "localhost", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        heard = await asyncio.gather(*(talk(port, number) for number in range(clients)))
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    place = echo.get_extra_info("sockname")
    transport, asker = await loop.create_datagram_endpoint(Asker, remote_addr=place)
    transport.sendto(b"datagram")
    back = await asyncio.wait_for(asker.heard, 10)
    transport.close()
    echo.close()
    return {"heard": heard, "back": back}

def main(args):
    return asyncio.run(both(args["clients"]))
"""
SERVED = b"""
import contextlib, http.server, select, socket, threading, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode() * 5000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

# It serves in every clone, though it was started once.
SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()

def fetch(number, found):
    url = f"http://127.0.0.1:{SERVER.server_port}/{number}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        found[number] = answer.read() == f"/{number}".encode() * 5000

def options():
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(server.getsockname()))
        watch = select.poll()
        watch.register(server, select.POLLIN)
        ready = watch.poll(5000) == [(server.fileno(), select.POLLIN)]
        selected = select.select([server], [], [], 5)[0] == [server]
        accepted, name = server.accept()
        with accepted:
            client.shutdown(socket.SHUT_WR)
            ended = accepted.recv(1) == b""
            again = socket.socket(fileno=accepted.detach())
            with again:
                known = again.family == socket.AF_INET and again.proto == socket.IPPROTO_TCP
            named = name == client.getsockname()
            listens = server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            return [ready, selected, ended, known, named, listens]

def attempt(do):
    try:
        return do()
    except OSError as error:
        return type(error).__name__

def main(args):
    found = {}
    numbers = range(args["threads"])
    threads = [threading.Thread(target=fetch, args=(number, found)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out = (args["host"], 80)
    return {
        "port": SERVER.server_port,
        "found": [found.get(number) for number in numbers],
        "options": options(),
        "nobody": attempt(lambda: socket.create_connection(("127.0.0.1", 9))),
        "listen": attempt(lambda: socket.create_server(out)),
        "out": attempt(lambda: socket.create_connection(out, timeout=10)),
        "datagram": attempt(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"out", out)),
        "others": attempt(lambda: socket.create_connection(("127.0.0.1", args["other"]))),
    }
"""
MESSAGES = b"""
import contextlib, socket

def datagrams(stack):
    one, other = (stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2))
    other.bind(("127.0.0.1", 0))
    place = other.getsockname()
    sent = [one.sendmsg([b"one ", b"", b"datagram"], [], 0, place) for _ in range(2)]
    rooms = bytearray(3), bytearray(20)
    size, ancillary, flags, sender = other.recvmsg_into(rooms, 100)
    cut = other.recvmsg(3)
    try:
        one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes(4))], 0, place)
    except OSError as error:
        refused = error.errno
    return {
        "sent": sent,
        "got": [bytes(room).decode().strip("\\0") for room in rooms],
        "rest": [size, ancillary, flags, sender[0]],
        "cut": [cut[0].decode(), cut[2] == socket.MSG_TRUNC],
        "refused": refused,
    }

def streams(stack):
    left, right = map(stack.enter_context, socket.socketpair())
    sent = left.sendmsg([b"a" * 30000, b"b" * 20000])
    left.close()
    first = right.recvmsg(7)[0]
    rest = right.recv(70000, socket.MSG_WAITALL)
    return [sent, first + rest == b"a" * 30000 + b"b" * 20000, right.recvmsg(1)[0].decode()]

def main(args):
    with contextlib.ExitStack() as stack:
        return {"datagrams": datagrams(stack), "streams": streams(stack)}
"""


def streams_answer(clients: int) -> dict[str, object]:
    heard = [[f"CLIENT {n} TURN {turn}" for turn in range(3)] for n in range(clients)]
    return {"heard": heard, "back": ["margatad", "127.0.0.1"]}


@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_streams_and_datagrams_of_one_function(
    tmp_path: pathlib.Path, isolation: Isolation
) -> None:
    function = Function("streams", "source", STREAMS)
    async with running(settings(tmp_path, isolation, network=False)) as dispatcher:
        for path in (Path.COLD, Path.WARM, Path.AUTO):
            answer = await dispatcher.invoke(function, {"clients": 8}, path)
            assert answer.result == streams_answer(8), answer


@pytest.mark.parametrize("network", [False, True])
async def test_a_server_of_the_snapshot_serves_in_each_clone(
    tmp_path: pathlib.Path, network: bool
) -> None:
    refused = "PermissionError" if network else "OSError"
    arguments = {"threads": 12, "host": HOST, "other": 1}
    async with running(settings(tmp_path, "uc", network)) as dispatcher:
        assert isinstance(dispatcher, UcDispatcher)
        node = (await dispatcher.life()).node
        before = (await node.status()).get("frames_sent")
        for name in (b"first", b"second"):
            function = Function(name.decode(), "source", SERVED + b"# " + name)
            for path in (Path.COLD, Path.WARM, Path.WARM, Path.HOT):
                answer = await dispatcher.invoke(function, arguments, path)
                assert answer.result is not None, answer
                port = answer.result.pop("port")
                assert answer.result == {
                    "found": [True] * 12,
                    "options": [True, True, True, True, True, 1],
                    "nobody": "ConnectionRefusedError",
                    "listen": "OSError",
                    "out": refused,
                    "datagram": refused,
                    "others": "ConnectionRefusedError",
                }
        # What the first function serves, no other UC finds.
        stranger = Function(
            "stranger", "source", SERVED.replace(b", 0), Handler", b", 1), Handler")
        )
        answer = await dispatcher.invoke(stranger, arguments | {"other": port})
        assert answer.result is not None, answer
        assert answer.result["others"] == "ConnectionRefusedError"
        assert (await node.status()).get("frames_sent") == before


async def test_messages(tmp_path: pathlib.Path) -> None:
    function = Function("messages", "source", MESSAGES)
    async with running(settings(tmp_path, "uc", network=False)) as dispatcher:
        answer = await dispatcher.invoke(function, {})
    assert answer.result == {
        "datagrams": {
            "sent": [12, 12],
            "got": ["one", " datagram"],
            "rest": [12, [], 0, "127.0.0.1"],
            "cut": ["one", True],
            "refused": errno.EOPNOTSUPP,
        },
        "streams": [50_000, True, ""],
    }, answer
