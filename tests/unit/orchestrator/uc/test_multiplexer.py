"""The multiplexer against a fake guest: answers find their request, and nothing else does harm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import answers
from orchestrator.errors import MachineError, ProtocolError
from orchestrator.invocation import InvocationError
from orchestrator.uc.multiplexer import Multiplexer, Reply
from orchestrator.wire import MAX_PAYLOAD, SNAPSHOT, Decoder, Frame, MessageType

DEADLINE_S = 20.0


class FakeGuest:
    """Takes the host's frames apart, and says what a test has it say."""

    def __init__(self) -> None:
        self.asked: list[Frame] = []
        self._decoder = Decoder()
        self._said: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        self.asked += self._decoder.feed(data)

    async def receive(self, limit: int = 1 << 16) -> bytes:
        return await self._said.get()

    async def wait(self) -> int:
        return 0

    def error(self, message: str) -> MachineError:
        return MachineError(f"{message}.", log_tail="last words\n")

    def say(self, *frames: Frame) -> None:
        for frame in frames:
            self._said.put_nowait(frame.encode())

    def say_bytes(self, data: bytes) -> None:
        self._said.put_nowait(data)


class Conversation:
    """A multiplexer, its guest, and what was reported."""

    def __init__(self) -> None:
        self.guest = FakeGuest()
        self.ended: list[int] = []
        self.orphans: list[int] = []
        self.unasked: list[Frame] = []
        self.mux = Multiplexer(
            *(self.guest, lambda context, _: self.ended.append(context), self.orphans.append),
            self.unasked.append,
        )

    def invoke(self, context: int, deadline_s: float = DEADLINE_S) -> asyncio.Future[Reply]:
        return self.mux.begin(
            MessageType.INVOKE, MessageType.RESULT, context=context, deadline_s=deadline_s
        )

    async def settle(self) -> None:
        """Let the multiplexer take in all that was said."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def talk() -> AsyncIterator[Conversation]:
    conversation = Conversation()
    yield conversation
    await conversation.mux.close()


def result(number: int, context: int, value: object = None) -> Frame:
    payload = json.dumps({"value": value}).encode()
    return Frame(MessageType.RESULT, payload, number, context)


def error(number: int, context: int, kind: str = "timeout") -> Frame:
    told = {"kind": kind, "message": "it was so", "traceback": None}
    return Frame(MessageType.ERROR, json.dumps(told).encode(), number, context)


def value_of(reply: Reply) -> object:
    assert isinstance(reply.answer, Frame)
    return reply.answer.json()["value"]


async def test_answers_in_any_order(talk: Conversation) -> None:
    asked = [talk.invoke(context) for context in (5, 6, 7)]
    await talk.settle()
    assert [(frame.id, frame.context) for frame in talk.guest.asked] == [(1, 5), (2, 6), (3, 7)]
    talk.guest.say(
        Frame(MessageType.STDOUT, b"six", 2, 6),
        result(3, 7, "c"),
        Frame(MessageType.STDERR, b"five", 1, 5),
        result(2, 6, "b"),
        error(1, 5),
    )
    first, second, third = await asyncio.gather(*asked)
    assert first.error == InvocationError("timeout", "it was so", None)
    assert (first.stderr.text, second.stdout.text, third.stdout.text) == ("five", "six", "")
    assert (value_of(second), value_of(third)) == ("b", "c")
    assert talk.mux.strays == 0 and talk.mux.waiting == 0


async def test_a_deployed_context_is_learned_from_its_answer(talk: Conversation) -> None:
    asked = talk.invoke(SNAPSHOT | 4)
    talk.guest.say(Frame(MessageType.STDOUT, b"x", 1, 9), result(1, 9))
    reply = await asked
    assert reply.context == 9 and reply.stdout.text == "x"


async def test_a_refused_deploy_has_no_context(talk: Conversation) -> None:
    asked = talk.invoke(SNAPSHOT | 4)
    talk.guest.say(error(1, SNAPSHOT | 4, "memory-limit"))
    reply = await asked
    assert reply.context == 0 and reply.error is not None and reply.error.kind == "memory-limit"


async def test_a_context_cannot_answer_for_another(talk: Conversation) -> None:
    known = talk.invoke(SNAPSHOT | 1)
    talk.guest.say(result(1, 9))
    await known
    asked, deploying = talk.invoke(8), talk.invoke(SNAPSHOT | 1)
    talk.guest.say(
        result(2, 9, "forged"),
        Frame(MessageType.STDOUT, b"forged", 2, 9),
        result(3, 9, "forged"),
        result(3, 0, "forged"),
        result(2, 8, "right"),
        result(3, 10, "right"),
    )
    replies = await asyncio.gather(asked, deploying)
    assert [value_of(reply) for reply in replies] == ["right", "right"]
    assert [reply.context for reply in replies] == [8, 10]
    assert replies[0].stdout.text == "" and talk.mux.strays == 4


async def test_a_second_answer_is_a_stray(talk: Conversation) -> None:
    asked = talk.invoke(5)
    talk.guest.say(result(1, 5, "first"), result(1, 5, "second"), result(77, 5))
    assert value_of(await asked) == "first"
    await talk.settle()
    assert talk.mux.strays == 2


@pytest.mark.parametrize(
    "answer",
    [
        Frame(MessageType.LOADED, b"{}", 1, 5),
        Frame(MessageType.ERROR, b"no json", 1, 5),
        Frame(MessageType.ERROR, b"{}", 1, 5),
    ],
)
async def test_a_senseless_answer_fails_its_request_alone(
    talk: Conversation, answer: Frame
) -> None:
    asked, other = talk.invoke(5), talk.invoke(6)
    talk.guest.say(answer, result(2, 6, "right"))
    reply = await asked
    assert reply.error is not None and reply.error.kind == "protocol"
    assert value_of(await other) == "right"


async def test_a_flood_of_output_is_cut(talk: Conversation) -> None:
    asked = talk.invoke(5)
    piece = Frame(MessageType.STDOUT, b"x" * 65536, 1, 5)
    talk.guest.say(*[piece] * 40, result(1, 5))
    reply = await asked
    assert len(reply.stdout.text) == answers.OUTPUT_LIMIT and reply.stdout.truncated


@pytest.mark.parametrize("noise", [b"no frame at all".ljust(32), b"\0" * 64])
async def test_a_broken_stream_fails_every_request(talk: Conversation, noise: bytes) -> None:
    asked = [talk.invoke(5), talk.invoke(6)]
    talk.guest.say_bytes(noise)
    replies = await asyncio.gather(*asked)
    assert {reply.error.kind for reply in replies if reply.error} == {"protocol"}
    later = await talk.invoke(5)
    assert later.error is not None and later.error.kind == "protocol"


async def test_the_end_of_the_node_fails_every_request(talk: Conversation) -> None:
    asked = [talk.invoke(5), talk.invoke(SNAPSHOT | 6)]
    talk.guest.say_bytes(b"")
    replies = await asyncio.gather(*asked)
    assert {reply.error.kind for reply in replies if reply.error} == {"node-died"}
    assert replies[0].error is not None and replies[0].error.traceback == "last words"
    assert talk.mux.failure is not None and talk.mux.waiting == 0


async def test_silence_ends_at_the_deadline(talk: Conversation) -> None:
    # A header that promises more than ever comes keeps the stream waiting, not the request.
    talk.guest.say_bytes(result(1, 5, "x" * 100).encode()[:-1])
    reply = await talk.invoke(5, deadline_s=0.05)
    assert reply.error is not None and reply.error.kind == "timeout"
    assert talk.mux.waiting == 0


async def test_a_context_deployed_for_nobody_is_reported(talk: Conversation) -> None:
    given_up, late = talk.invoke(SNAPSHOT | 1), talk.invoke(SNAPSHOT | 1, deadline_s=0.01)
    bound = talk.invoke(5)
    await talk.settle()
    given_up.cancel()
    bound.cancel()
    await late
    talk.guest.say(result(1, 7), result(2, 8), result(2, 8), result(3, 5))
    await talk.settle()
    assert talk.orphans == [7, 8]
    assert talk.mux.waiting == 0 and talk.mux.strays == 0


async def test_a_context_that_spoke_is_reported_when_its_request_is_given_up(
    talk: Conversation,
) -> None:
    asked, other = talk.invoke(SNAPSHOT | 1), talk.invoke(5)
    talk.guest.say(Frame(MessageType.STDOUT, b"x", 1, 7), Frame(MessageType.STDOUT, b"x", 2, 5))
    await talk.settle()
    asked.cancel()
    other.cancel()
    await talk.settle()
    assert talk.orphans == [7]
    talk.guest.say(result(1, 7), result(2, 5))
    await talk.settle()
    assert talk.orphans == [7] and talk.mux.strays == 0


async def test_boot_is_answered_by_ready(talk: Conversation) -> None:
    booting = talk.mux.begin_boot(DEADLINE_S)
    other = talk.invoke(5)
    talk.guest.say(result(2, 5), Frame(MessageType.READY, b"{}", 0, 3))
    reply = await booting
    assert reply.context == 3 and reply.error is None
    await other
    talk.guest.say(Frame(MessageType.READY, b"{}", 0, 4))
    await talk.settle()
    assert talk.mux.strays == 1


async def test_a_boot_that_fails(talk: Conversation) -> None:
    told = json.dumps({"kind": "fault", "message": "at once"}).encode()
    booting = talk.mux.begin_boot(DEADLINE_S)
    # Another's, deployed for a request that was given up before it said a word.
    talk.guest.say(Frame(MessageType.ENDED, told, 0, 9))
    await talk.settle()
    assert not booting.done() and talk.ended == [9]
    talk.guest.say(Frame(MessageType.ENDED, told, 1, 3))
    reply = await booting
    assert reply.error == InvocationError("fault", "at once") and talk.ended == [9]
    refused = talk.mux.begin_boot(DEADLINE_S)
    talk.guest.say(error(2, 0, "memory-limit"))
    assert (await refused).error is not None


async def test_an_idle_context_that_ends_is_reported(talk: Conversation) -> None:
    told = json.dumps({"kind": "fault", "message": "by itself"}).encode()
    talk.guest.say(Frame(MessageType.ENDED, told, 0, 6), Frame(MessageType.ENDED, b"?", 0, 7))
    await talk.settle()
    assert talk.ended == [6, 7]


FRAMES = st.builds(
    Frame,
    type=st.sampled_from([kind for kind in MessageType if kind.from_guest]),
    payload=st.sampled_from([b"{}", b"", b'{"kind": "x", "message": "y"}', b"[1]"]),
    id=st.integers(0, 6),
    context=st.sampled_from([0, 5, 6, 7, SNAPSHOT | 1, SNAPSHOT | 2]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAMES, max_size=30), st.data())
def test_whatever_a_guest_says_every_request_ends(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    cut = data.draw(st.integers(0, len(stream)))
    noise = data.draw(st.binary(max_size=40))

    async def run() -> None:
        talk = Conversation()
        asked = [talk.invoke(context) for context in (5, 6, SNAPSHOT | 1)]
        asked.append(talk.mux.begin_boot(DEADLINE_S))
        for piece in (stream[:cut], stream[cut:], noise):
            if piece:
                talk.guest.say_bytes(piece)
        talk.guest.say_bytes(b"")
        replies = await asyncio.wait_for(asyncio.gather(*asked), DEADLINE_S)
        assert talk.mux.failure is not None and talk.mux.waiting == 0
        for reply, context in zip(replies[:2], (5, 6), strict=True):
            assert reply.context in (0, context)
        await talk.mux.close()

    asyncio.run(run())


async def test_closing_fails_what_waits(talk: Conversation) -> None:
    asked = talk.invoke(5)
    await talk.mux.close()
    reply = await asked
    assert reply.error is not None and reply.error.kind == "node-died"


def captured(number: int, context: int) -> Frame:
    return Frame(MessageType.CAPTURED, b"{}", number, context)


async def test_a_capture_at_a_breakpoint_is_told_apart(talk: Conversation) -> None:
    hit = talk.mux.at_breakpoint(7)
    ordered = talk.mux.begin(
        MessageType.CAPTURE, MessageType.CAPTURED, context=7, deadline_s=DEADLINE_S
    )
    running = talk.invoke(7)
    talk.guest.say(captured(1, 7))
    assert (await ordered).error is None and not hit.done()
    # With the running request's id, and another context's is not it.
    talk.guest.say(captured(0, 8), captured(2, 7), result(2, 7))
    assert (await hit).context == 7
    assert (await running).error is None
    assert talk.mux.strays == 1


async def test_a_breakpoint_that_is_not_reached(talk: Conversation) -> None:
    first = talk.mux.at_breakpoint(7)
    second = talk.mux.at_breakpoint(7)
    assert (await first).error is not None and not second.done()
    talk.mux.forget(7)
    assert (await second).error is not None
    third = talk.mux.at_breakpoint(8)
    talk.mux.fail(InvocationError("node-died", "It ended."))
    assert (await third).error == InvocationError("node-died", "It ended.")
    assert (await talk.mux.at_breakpoint(8)).error is not None


async def test_on_the_way_to_its_point_a_context_is_captured_once(talk: Conversation) -> None:
    begun = talk.mux.begin(
        *(MessageType.BEGIN, MessageType.POINT, MessageType.RESULT),
        context=SNAPSHOT | 1,
        deadline_s=DEADLINE_S,
    )
    await talk.settle()
    point = Frame(MessageType.POINT, b"{}", 1, 7)
    talk.guest.say(captured(1, 7), captured(1, 7), point)
    reply = await begun
    assert (reply.answer, reply.context, reply.captured) == (point, 7, captured(1, 7))
    assert talk.unasked == [captured(1, 7)]


async def test_snapshots_that_nobody_asked_for_are_reported(talk: Conversation) -> None:
    running, late = talk.invoke(5), talk.invoke(6, deadline_s=0.01)
    begun = talk.mux.begin(MessageType.BEGIN, MessageType.POINT, context=7, deadline_s=DEADLINE_S)
    await late
    talk.guest.say(captured(1, 5), captured(2, 6), captured(0, 8), captured(3, 7))
    await talk.settle()
    assert talk.unasked == [captured(1, 5), captured(2, 6), captured(0, 8)]
    # The one that a request was waiting for is nobody's any more when that is given up.
    begun.cancel()
    talk.guest.say(result(1, 5, "done"))
    assert isinstance((await running).answer, Frame)
    assert talk.unasked[3:] == [captured(3, 7)]


async def test_what_no_frame_can_carry_is_not_waited_for(talk: Conversation) -> None:
    with pytest.raises(ProtocolError, match="payload"):
        talk.mux.begin(
            *(MessageType.LOAD, MessageType.LOADED),
            payload=bytes(MAX_PAYLOAD + 1),
            deadline_s=DEADLINE_S,
        )
    assert talk.mux.waiting == 0
    asked = talk.invoke(5)
    await talk.settle()
    talk.guest.say(result(2, 5))
    assert (await asked).error is None
