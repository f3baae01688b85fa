"""A guest that sends garbage, lies about lengths or answers out of turn: each conversation ends in
an answer or in one of the platform's errors, never in anything else, and never hangs.

The guest is played by hypothesis; what it says is made of frames that are right but for one thing.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import struct
import zlib
from collections.abc import Awaitable, Sequence
from typing import ClassVar
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.answers import ERROR_TEXT_LIMIT, KIND_LIMIT, LOG_LINE_LIMIT, MAX_LOG_LINES
from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.uc.multiplexer import Multiplexer
from orchestrator.uc.node import CapturedContext, UcNode
from orchestrator.uc.store import Exported, export
from orchestrator.vm.instance import Instance
from orchestrator.wire import MAGIC, MAX_PAYLOAD, SNAPSHOT, Decoder, Frame, MessageType
from snapshot_store import SeussError

FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
LIMIT_S = 5.0
HANGS_S = 20.0
HELLO = Function("hello", "source", b"def main(args): return args")

FROM_GUEST = [kind for kind in MessageType if kind.from_guest]
NUMBERS = st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1, 2**32 - 1])
CONTEXTS = NUMBERS | st.sampled_from([SNAPSHOT, SNAPSHOT | 1, SNAPSHOT | 2])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**64)
    | st.floats()
    | st.text(max_size=8)
    | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
NAMES = ["kind", "message", "traceback", "snapshot", "parent", "pages", "ns", "context", "point"]
NAMES += ["names", "reached", "snapshots", "contexts", "next", "free_frames"]
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
PAYLOADS = (
    OBJECTS.map(lambda told: json.dumps(told).encode())
    | VALUES.map(lambda told: json.dumps(told).encode())
    | st.binary(max_size=64)
    | st.sampled_from([b"", b"{}", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 10_000])
    | st.just(json.dumps({"kind": "k" * 100_000, "message": "m" * 100_000}).encode())
)


def header(kind: int, number: int, length: int) -> bytes:
    """A header whose check is right, whatever it says."""
    head = struct.pack("<4sBBHQIII", MAGIC, 1, 0, kind, number, 0, length, 0)
    return head + struct.pack("<I", zlib.crc32(head))


FRAMES = st.builds(
    lambda kind, payload, number, context: Frame(kind, payload, number, context).encode(),
    *(st.sampled_from(FROM_GUEST), PAYLOADS, NUMBERS, CONTEXTS),
)
LIES = st.builds(
    header,
    st.sampled_from([*FROM_GUEST, 0x7F, 0xFFFF, MessageType.INVOKE]),
    NUMBERS,
    st.sampled_from([1, 31, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2**32 - 1]),
)
PIECES = st.lists(FRAMES | FRAMES | FRAMES | LIES | st.binary(max_size=80), max_size=8)


class Liar:
    """A machine whose guest says `said`, a piece at a time, and then ends."""

    def __init__(self, said: Sequence[bytes]) -> None:
        self.said = list(said)
        self.status: int | None = None

    async def start(self) -> None:
        """Start nothing."""

    async def close(self) -> None:
        self.status = 0

    async def send(self, data: bytes) -> None:
        """Take what the host says."""

    async def receive(self, limit: int = 1 << 16) -> bytes:
        await asyncio.sleep(0)
        while self.said:
            piece = self.said.pop(0)
            if piece:
                return piece
        return b""

    async def wait(self) -> int:
        return 0

    def error(self, message: str) -> MachineError:
        return MachineError(message, log_tail="last words")


def check_short(error: InvocationError) -> None:
    """What a guest says is cut to what may be kept."""
    assert len(error.kind) <= KIND_LIMIT and len(error.message) <= ERROR_TEXT_LIMIT
    assert len(error.traceback or "") <= ERROR_TEXT_LIMIT


@FUZZ
@given(PIECES, st.sampled_from(["load", "invoke", "status", "unload", "ready", "optimise"]))
def test_one_guest(said: list[bytes], what: str) -> None:
    async def converse() -> None:
        instance = Instance(Liar(said))
        calls: dict[str, Awaitable[object]] = {
            "load": instance.load(HELLO, LIMIT_S),
            "invoke": instance.invoke({}, LIMIT_S),
        }
        try:
            async with asyncio.timeout(HANGS_S):
                outcome = await (
                    calls.pop(what) if what in calls else getattr(instance, what)(LIMIT_S)
                )
        except SeussError:
            return
        finally:
            for call in calls.values():
                call.close()  # type: ignore[attr-defined]
        if isinstance(outcome, InvocationError):
            check_short(outcome)
        else:
            assert outcome is None or isinstance(outcome, dict)
        assert len(instance.log) <= MAX_LOG_LINES
        assert all(len(line) <= LOG_LINE_LIMIT for line in instance.log)

    asyncio.run(converse())


@FUZZ
@given(PIECES)
def test_node_with_many_requests_under_way(said: list[bytes]) -> None:
    async def converse() -> None:
        mux = Multiplexer(Liar(said), lambda *_: None, lambda _: None)
        asked = [
            mux.begin(*kinds, context=context, deadline_s=LIMIT_S)
            for context in (2, SNAPSHOT | 1)
            for kinds in (
                (MessageType.INVOKE, MessageType.RESULT),
                (MessageType.CAPTURE, MessageType.CAPTURED),
                (MessageType.BEGIN, MessageType.POINT, MessageType.RESULT),
            )
        ]
        asked += [mux.begin_boot(LIMIT_S), mux.at_breakpoint(3)]
        asked[1].cancel()
        async with asyncio.timeout(HANGS_S):
            replies = await asyncio.gather(*asked, return_exceptions=True)
            for _ in range(2 * len(said)):
                await asyncio.sleep(0)
            await mux.close()
        assert isinstance(replies.pop(1), asyncio.CancelledError)
        for reply in replies:
            assert not isinstance(reply, BaseException)
            if reply.error is not None:
                check_short(reply.error)
        assert mux.waiting == 0 and mux.failure is not None

    asyncio.run(converse())


class LyingKernel(Liar):
    """A node's kernel that answers each request with the frame that is due, but for what is in it.

    Args:
        payload: what is in it, from the second STATUS on: a node must get up first.
        context: the UC that the header names; None names the one asked.
    """

    DUE: ClassVar = {
        MessageType.STATUS_REQUEST: MessageType.STATUS,
        MessageType.CAPTURE: MessageType.CAPTURED,
        MessageType.IMPORT: MessageType.CAPTURED,
        MessageType.DEPLOY: MessageType.DEPLOYED,
        MessageType.EXPORT: MessageType.EXPORTED,
        MessageType.LIST: MessageType.LISTED,
        MessageType.BOOT: MessageType.READY,
    }

    def __init__(self, payload: bytes, context: int | None) -> None:
        super().__init__([])
        self._payload = payload
        self._context = context
        self._asked = Decoder()
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._up = False

    async def send(self, data: bytes) -> None:
        for frame in self._asked.feed(data):
            if frame.type not in self.DUE:
                continue
            payload, context = self._payload, self._context
            if not self._up:
                self._up, payload, context = True, b'{"free_frames": 1}', None
            context = frame.context if context is None else context
            number = 0 if frame.type is MessageType.BOOT else frame.id
            answer = Frame(self.DUE[frame.type], payload, number, context)
            self._answers.put_nowait(answer.encode())

    async def receive(self, limit: int = 1 << 16) -> bytes:
        return await self._answers.get()


RECORDS = st.lists(st.tuples(NUMBERS, NUMBERS | st.just(2**64 - 1)), max_size=4)
EXPORTS = st.builds(
    lambda size, state, records: (
        struct.pack("<I", size)
        + state
        + b"".join(struct.pack("<QQ", *record) for record in records)
    ),
    *(st.integers(0, 40) | st.just(2**32 - 1), st.binary(max_size=40), RECORDS),
)


@FUZZ
@given(
    PAYLOADS | EXPORTS,
    st.none() | CONTEXTS,
    st.sampled_from(["status", "list", "capture", "import", "deploy", "export", "boot"]),
)
def test_kernel_of_a_node(payload: bytes, context: int | None, what: str) -> None:
    hardware = Hardware(Accelerator("tcg", TCG_CPU, "TCG, for tests.", {}), memory_mib=64)

    async def converse() -> None:
        kernel = LyingKernel(payload, context)
        with mock.patch("orchestrator.uc.node.Machine", lambda *_, **__: kernel):
            node = UcNode(hardware, pathlib.Path("none"))
        async with asyncio.timeout(HANGS_S), node:
            with mock.patch("orchestrator.uc.node.ORDER_DEADLINE_S", 0.02):
                try:
                    outcome = await {
                        "status": node.status,
                        "list": node.list,
                        "capture": lambda: node.capture(2),
                        "import": lambda: node.import_snapshot(b"", 1),
                        "deploy": lambda: node.deploy(1),
                        "export": lambda: export(node, 1),
                        "boot": node.boot,
                    }[what]()
                except SeussError:
                    return
        assert isinstance(
            outcome, dict | CapturedContext | tuple | InvocationError | Exported | int
        )

    with mock.patch("orchestrator.uc.node.BOOT_DEADLINE_S", 0.02):
        asyncio.run(converse())
