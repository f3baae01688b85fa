"""The conversation with a guest that is played by the test."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.vm.instance import Instance
from orchestrator.wire import Decoder, Frame, MessageType

LIMIT_S = 5.0


class Guest:
    """A machine whose guest answers each request with what `says` makes of it."""

    def __init__(self) -> None:
        self._asked = Decoder()
        self._said = asyncio.Queue[bytes]()

    def says(self, request: Frame) -> bytes:
        return b""

    async def send(self, data: bytes) -> None:
        for frame in self._asked.feed(data):
            self._said.put_nowait(self.says(frame))

    async def receive(self, limit: int = 1 << 16) -> bytes:
        return await self._said.get()

    async def wait(self) -> int:
        return 1

    def error(self, message: str) -> MachineError:
        return MachineError(message, log_tail="panic: last words")


class Talker(Guest):
    """Logs a line after its first answer, of which `cut` bytes come with that answer."""

    def __init__(self, cut: int) -> None:
        super().__init__()
        self._cut = cut
        self._rest = b""

    def says(self, request: Frame) -> bytes:
        if request.type is MessageType.INVOKE:
            return self._rest + Frame(MessageType.RESULT, b"{}", id=request.id).encode()
        line = Frame(MessageType.LOG, b"a line").encode()
        self._rest = line[self._cut :]
        return Frame(MessageType.LOADED, b"{}", id=request.id).encode() + line[: self._cut]


@pytest.mark.parametrize("cut", [0, 1, 31, 32, 38])
async def test_frame_that_comes_in_two_requests_is_one(cut: int) -> None:
    instance = Instance(Talker(cut))
    assert await instance.load(Function("f", "source", b""), LIMIT_S) is None
    assert await instance.invoke({}, LIMIT_S) == {}
    assert list(instance.log) == ["a line"]


async def test_guest_that_ends_is_heard_to_the_last() -> None:
    outcome = await Instance(Guest()).invoke({}, LIMIT_S)
    assert isinstance(outcome, InvocationError)
    assert (outcome.kind, outcome.traceback) == ("node-died", "panic: last words")
