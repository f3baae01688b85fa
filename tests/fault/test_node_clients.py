"""Clients of a node's daemon that go away, or ask at a bad time."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from orchestrator.errors import NodeError
from orchestrator.function import Function
from orchestrator.invocation import Invocation, Phases
from orchestrator.nodes.client import NodeClient
from orchestrator.nodes.daemon import Daemon, function_to_json
from orchestrator.nodes.places import NodePlace, place
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher

HELLO = Function("hello", "source", b"def main(args): return args")
DEADLINE_S = 20.0


class Slow(UcDispatcher):
    """Has no node: answers `{"wait": false}` at once, and all else never."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.called = asyncio.Event()
        self.cancelled = asyncio.Event()

    @property
    def accelerator(self) -> str:
        return "none"

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        self.called.set()
        if args["wait"]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return Invocation(Path.HOT, 1.0, Phases(), "none", result={})


@pytest.fixture
async def daemon(
    small_guests: pathlib.Path, tmp_path: pathlib.Path, nothing_left: pathlib.Path
) -> AsyncIterator[tuple[NodePlace, Slow]]:
    """A daemon in this process, that stops when asked."""
    settings = Settings(image=small_guests / "frame-guest.elf", store=tmp_path / "store")
    where, slow = place("tested"), Slow(settings)
    ready, far = os.pipe()
    serving = asyncio.create_task(Daemon(where, slow, settings).serve(far))
    with os.fdopen(ready) as pipe:
        assert "pid" in json.loads(await asyncio.to_thread(pipe.readline))
    yield where, slow
    async with NodeClient(where) as client, asyncio.timeout(DEADLINE_S):
        await client.stop()
    await asyncio.wait_for(serving, DEADLINE_S)
    assert not where.socket.exists()


def request(wait: bool) -> bytes:
    told = {"function": function_to_json(HELLO), "args": {"wait": wait}, "path": "auto"}
    return json.dumps({"do": "invoke", "timeout_s": 1.0} | told).encode() + b"\n"


async def test_an_invocation_ends_when_its_client_is_gone(daemon: tuple[NodePlace, Slow]) -> None:
    where, slow = daemon
    _, writer = await asyncio.open_unix_connection(str(where.socket))
    writer.write(request(wait=True))
    await asyncio.wait_for(slow.called.wait(), DEADLINE_S)
    writer.close()
    await asyncio.wait_for(slow.cancelled.wait(), DEADLINE_S)
    async with NodeClient(where) as client:
        assert (await client.invoke(HELLO, {"wait": False})).ok


async def test_requests_sent_ahead_are_answered_in_turn(daemon: tuple[NodePlace, Slow]) -> None:
    reader, writer = await asyncio.open_unix_connection(str(daemon[0].socket))
    writer.write(request(wait=False) * 3)
    for _ in range(3):
        answer = json.loads(await asyncio.wait_for(reader.readline(), DEADLINE_S))
        assert answer["invocation"]["result"] == {}
    writer.close()


async def test_asking_for_the_state_starts_nothing(daemon: tuple[NodePlace, Slow]) -> None:
    where, slow = daemon
    async with NodeClient(where) as client:
        status = await client.status()
        with pytest.raises(NodeError, match="has no machine now"):
            await client.contexts()
    assert (status["kernel"], status["machine_pid"], status["idle"]) == (None, None, 0)
    assert slow.running is None


async def test_nested_json_is_a_bad_request(daemon: tuple[NodePlace, Slow]) -> None:
    reader, writer = await asyncio.open_unix_connection(str(daemon[0].socket))
    writer.write(b"[" * 100_000 + b"\n" + request(wait=False))
    first = json.loads(await asyncio.wait_for(reader.readline(), DEADLINE_S))
    second = json.loads(await asyncio.wait_for(reader.readline(), DEADLINE_S))
    assert first["error"].startswith("bad request: RecursionError")
    assert second["invocation"]["result"] == {}
    writer.close()
