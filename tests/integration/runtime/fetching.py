"""What tests of fetch share: what it gives and says, and a server of any answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from tests.integration.runtime.native_runner import NativeRunner


def value(js: NativeRunner, expression: str, **args: object) -> object:
    code = f"async function main(args) {{ const {{url}} = args; return {{v: {expression}}}; }}"
    return js.result_of(code, args)["v"]


def refusal(js: NativeRunner, expression: str, **args: object) -> str:
    """Return name and message of what the expression throws."""
    named = "(e) => `${e.name}: ${e.message}`"
    caught = f"await (async () => {expression})().then(() => 'nothing', {named})"
    told = value(js, caught, **args)
    assert isinstance(told, str)
    return told


@contextlib.contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Serve one connection with these bytes, whatever is asked."""

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(answer)

    with _served(serve, 1) as url:
        yield url


@contextlib.contextmanager
def resetting_server(connections: int) -> Iterator[str]:
    """Reset so many connections as soon as they are made."""

    def reset(connection: socket.socket) -> None:
        linger = (1).to_bytes(4, "little") + bytes(4)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with _served(reset, connections) as url:
        yield url


@contextlib.contextmanager
def _served(each: Callable[[socket.socket], None], connections: int) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(connections):
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    each(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            thread.join()
