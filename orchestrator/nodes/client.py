"""Speaks to a node's daemon, and starts one."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from orchestrator.answers import GRACE_S
from orchestrator.errors import NodeError
from orchestrator.function import Function
from orchestrator.image import image_mark
from orchestrator.invocation import Invocation
from orchestrator.nodes.daemon import LINE_LIMIT, function_to_json, settings_to_json
from orchestrator.nodes.places import DEFAULT_NAME, NodePlace, place
from orchestrator.paths import Path
from orchestrator.settings import Settings

START_DEADLINE_S = 300.0
STOP_DEADLINE_S = 60.0
STATUS_DEADLINE_S = 60.0
POLL_S = 0.02
MATTER = ("image", "store", "accelerator", "machine", "ao")
"""Settings in which a running node must agree with a command to serve it."""


class NodeClient:
    """A connection to a node's daemon, with the calls of a dispatcher.

    One request at a time; an async context manager. Raises NodeError when there is no such node or
    it ends.
    """

    def __init__(self, where: NodePlace, settings: Settings | None = None) -> None:
        self._where = where
        self._settings = settings or Settings(isolation="uc")
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(
                str(self._where.socket), limit=LINE_LIMIT
            )
        except OSError as error:
            raise NodeError(
                f"The node {self._where.name} does not answer ({error.strerror}). "
                "Start it with seuss node start."
            ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def ensure_base(self) -> None:
        """Return: a node that listens has its base."""

    async def prepare(self, count: int, path: Path = Path.AUTO) -> None:
        """Return: a node that listens is prepared."""

    async def starting_point(self, function: Function) -> Path:
        """Return auto: which path a call takes shows when it is made."""
        return Path.AUTO

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        """Call a function in the node; the latency is the whole time from here to the answer."""
        started = time.perf_counter()
        limit = self._settings.timeout_s if timeout_s is None else timeout_s
        answer = await self._ask(
            {
                "do": "invoke",
                "function": function_to_json(function),
                "args": dict(args),
                "path": path.value,
                "timeout_s": limit,
            },
            # An explicit warm or hot may import first, and a dead node is started again.
            3 * (limit + GRACE_S) + START_DEADLINE_S,
        )
        invocation = Invocation.from_json(answer["invocation"])
        return replace(invocation, latency_ms=(time.perf_counter() - started) * 1000)

    async def status(self) -> dict[str, Any]:
        """Return the daemon's account of itself and its node."""
        status: dict[str, Any] = (await self._ask({"do": "status"}, STATUS_DEADLINE_S))["status"]
        return status

    async def image(self) -> tuple[pathlib.Path, list[int]]:
        """Return the image the node runs, and its `image_mark` when it was started."""
        told = await self._ask({"do": "image"}, STATUS_DEADLINE_S)
        return pathlib.Path(told["image"]), told["image_mark"]

    async def contexts(self) -> dict[str, Any]:
        """Return the kernel's list of its contexts and snapshots."""
        told: dict[str, Any] = (await self._ask({"do": "contexts"}, STATUS_DEADLINE_S))["contexts"]
        return told

    async def stop(self) -> None:
        """End the node and wait until its daemon is gone."""
        await self._ask({"do": "stop"}, STATUS_DEADLINE_S)
        self._writer.close()
        deadline = time.monotonic() + STOP_DEADLINE_S
        while self._where.running():
            if time.monotonic() > deadline:
                raise NodeError(f"The node {self._where.name} does not end. Kill its daemon.")
            await asyncio.sleep(POLL_S)

    async def _ask(self, request: Mapping[str, Any], deadline_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(deadline_s):
                self._writer.write(json.dumps(request).encode() + b"\n")
                await self._writer.drain()
                line = await self._reader.readline()
        except TimeoutError as error:
            raise NodeError(
                f"The node {self._where.name} gave no answer within {deadline_s:g} s. "
                f"Its log is {self._where.log}."
            ) from error
        except OSError as error:
            raise self._gone() from error
        if not line.endswith(b"\n"):
            raise self._gone()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NodeError(answer["error"], log_tail=answer.get("log_tail") or "")
        return answer

    def _gone(self) -> NodeError:
        return NodeError(
            f"The node {self._where.name} ended before it answered. Its log is {self._where.log}. "
            "Start it again with seuss node start."
        )


async def running_node(settings: Settings, name: str = DEFAULT_NAME) -> NodeClient | None:
    """Return the running node that serves these settings, not yet connected; None if none does."""
    where = place(name)
    if not where.running() or not settings.image.exists():
        return None
    client = NodeClient(where, settings)
    try:
        async with client:
            status = await client.status()
    except NodeError:
        return None
    wanted = settings_to_json(settings)
    same = all(status["settings"][each] == wanted[each] for each in MATTER)
    # A card does no harm to a function that may reach nothing.
    same = same and bool(status["settings"]["network"] or not settings.network)
    return client if same and status["image_mark"] == image_mark(settings.image) else None


def start(name: str, settings: Settings) -> int:
    """Start a node's daemon; return its process id once the node serves. Raises NodeError."""
    where = place(name)
    if where.running():
        os.close(where.take())  # raises, and says that it runs
    ready, far = os.pipe()
    command = [sys.executable, "-m", "orchestrator.nodes.daemon", name]
    command += [json.dumps(settings_to_json(settings)), str(far)]
    with os.fdopen(ready) as pipe, where.log.open("w") as log:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(far,),
                start_new_session=True,
            )
        finally:
            os.close(far)
        try:
            line = pipe.readline()
        except BaseException:
            # It is in a session of its own: what interrupts this command does not reach it.
            process.terminate()
            process.wait()
            raise
    told = json.loads(line) if line else {"error": f"The node's daemon ended. See {where.log}."}
    if "error" in told:
        process.wait()
        raise NodeError(told["error"], log_tail=told.get("log_tail") or "")
    return process.pid
