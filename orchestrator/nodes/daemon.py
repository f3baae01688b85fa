"""A node kept running for many commands: a process that answers JSON lines on a private socket.

`python -m orchestrator.nodes.daemon NAME SETTINGS READY` serves until it is told to stop; SETTINGS
is JSON, READY a descriptor that gets one line once the node is up, or why it is not.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import pathlib
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.anticipation import Anticipation
from orchestrator.errors import NodeError
from orchestrator.function import Function
from orchestrator.image import image_mark
from orchestrator.nodes.places import NodePlace, place
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from snapshot_store.errors import SeussError

LINE_LIMIT = 64 << 20
"""Bytes of one request: code and arguments, each at most 8 MiB, as JSON."""


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """Return settings as a JSON object."""
    values = asdict(settings)
    image, store = settings.image.resolve(), settings.store.resolve()
    return values | {"image": str(image), "store": str(store)}


def settings_from_json(values: Mapping[str, Any]) -> Settings:
    """Read what `settings_to_json` returned. Raises SettingsError, TypeError or KeyError.

    A word that is no step of AO is a ValueError.
    """
    paths = {name: pathlib.Path(values[name]) for name in ("image", "store")}
    return Settings(**(dict(values) | paths | {"ao": Anticipation(values["ao"])}))


def function_to_json(function: Function) -> dict[str, Any]:
    """Return a function as a JSON object."""
    code = base64.b64encode(function.code).decode("ascii")
    return {
        "name": function.name,
        "format": function.format,
        "code": code,
        "main": function.main,
        "runtime": function.runtime,
        "network": list(function.network),
    }


class Daemon:
    """Serves one dispatcher to the clients of a socket.

    Args:
        place: where it listens; the caller holds the lock.
        dispatcher: a running one.
        settings: what it was started with.
    """

    def __init__(self, place: NodePlace, dispatcher: UcDispatcher, settings: Settings) -> None:
        self._place = place
        self._dispatcher = dispatcher
        self._settings = settings
        self._mark = image_mark(settings.image)
        self._started = time.time()
        self._served = 0
        self._stop = asyncio.Event()
        self._stop_asked = False
        self._clients: set[asyncio.Task[None]] = set()

    async def serve(self, ready: int) -> None:
        """Listen until told to stop; say so on the descriptor `ready` once it listens."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._place.socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(
            self._client, str(self._place.socket), limit=LINE_LIMIT
        )
        tell(ready, {"pid": os.getpid()})
        try:
            await self._stop.wait()
        finally:
            server.close()
            self._place.socket.unlink(missing_ok=True)
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            line = await reader.readline()
            while line:
                following = asyncio.create_task(reader.readline())
                try:
                    answer = await self._answer_unless_gone(line, following)
                    if answer is None:
                        break
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
                    line = await following
                finally:
                    following.cancel()
        except (ConnectionError, ValueError):
            pass  # the client went away, or its line is longer than any request
        finally:
            self._clients.discard(task)
            writer.close()
            if self._stop_asked:
                self._stop.set()

    async def _answer_unless_gone(
        self, line: bytes, following: asyncio.Task[bytes]
    ) -> dict[str, Any] | None:
        """Answer a request, but end it and return None if its client goes away meanwhile."""
        answering = asyncio.create_task(self._answer(line))
        try:
            await asyncio.wait((answering, following), return_when=asyncio.FIRST_COMPLETED)
            gone = following.done() and (following.exception() or not following.result())
            return None if gone and not answering.done() else await answering
        finally:
            if answering.cancel():
                await asyncio.wait((answering,))

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            what = request["do"]
            if what == "invoke":
                return {"invocation": await self._invoke(request)}
            if what == "status":
                return {"status": await self._status()}
            if what == "image":  # answered even while the guest is stopped
                return {"image": str(self._settings.image), "image_mark": self._mark}
            if what == "contexts":
                return {"contexts": await self._contexts()}
            if what == "stop":
                self._stop_asked = True
                return {"stopping": True}
            return {"error": f"unknown request {what!r}"}
        except SeussError as error:
            return {"error": error.message, "log_tail": error.log_tail}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"error": f"bad request: {type(error).__name__}: {error}"}

    async def _invoke(self, request: Mapping[str, Any]) -> dict[str, Any]:
        told = dict(request["function"])
        code = base64.b64decode(told["code"], validate=True)
        network = tuple(told.get("network", ()))
        function = Function(**(told | {"code": code, "network": network}))
        invocation = await self._dispatcher.invoke(
            function, request["args"], Path(request["path"]), request["timeout_s"]
        )
        self._served += 1
        return invocation.to_json()

    async def _contexts(self) -> dict[str, Any]:
        life = self._dispatcher.running
        if life is None:
            raise NodeError(
                f"The node {self._place.name} has no machine now. Its next request starts one."
            )
        return await life.node.list()

    async def _status(self) -> dict[str, Any]:
        life = self._dispatcher.running  # whose death the next request mends, not this one
        return {
            "name": self._place.name,
            "pid": os.getpid(),
            "machine_pid": None if life is None else life.node.machine.pid,
            "started": self._started,
            "accelerator": self._dispatcher.accelerator,
            "settings": settings_to_json(self._settings),
            "image_mark": self._mark,
            "served": self._served,
            "idle": 0 if life is None else len(life.idle),
            "kernel": None if life is None else await life.node.status(),
        }


def tell(ready: int, line: Mapping[str, Any]) -> None:
    """Say one line to the starter, who may be gone."""
    with contextlib.suppress(OSError), os.fdopen(ready, "w") as pipe:
        pipe.write(json.dumps(dict(line)) + "\n")


@contextlib.contextmanager
def _monitor(where: NodePlace) -> Iterator[socket.socket]:
    """Make the socket on which the node's machine, and any that replaces it, listens for QMP."""
    where.monitor.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.bind(str(where.monitor))
        try:
            monitor.listen(1)
            yield monitor
        finally:
            where.monitor.unlink(missing_ok=True)


async def _run(name: str, settings: Settings, ready: int) -> None:
    where = place(name)
    lock = where.take()
    try:
        with _monitor(where) as monitor:
            async with UcDispatcher(settings, monitor) as dispatcher:
                await dispatcher.ensure_base()
                await Daemon(where, dispatcher, settings).serve(ready)
    finally:
        os.close(lock)


def main(arguments: list[str]) -> int:
    """Serve a node until told to stop; return the exit status."""
    name, settings, descriptor = arguments
    ready = int(descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        asyncio.run(_run(name, settings_from_json(json.loads(settings)), ready))
    except SeussError as error:
        logging.error("%s", error)
        tell(ready, {"error": error.message, "log_tail": error.log_tail})
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
