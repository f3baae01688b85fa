"""What tests of fetch share: what it gives and says, and a server of any answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

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
def raw_server(answer: bytes, reset: bool = False) -> Iterator[str]:
    """Serve one connection with these bytes, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                if not reset:
                    connection.recv(1 << 16)
                    connection.sendall(answer)
                else:
                    linger = (1).to_bytes(4, "little") + bytes(4)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            thread.join()
