"""What a node and its contexts say on the wire, with the real image."""

from __future__ import annotations

import asyncio
import pathlib
import struct
from collections.abc import AsyncIterator

import pytest

from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.machines.command_line import Hardware
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import UcNode
from orchestrator.wire import SNAPSHOT, Frame
from snapshot_store import PAGE_SIZE
from tests.integration.conftest import BUILD

TWO_STACKS = 8
"""In frames; fewer than ten uses would leave if each left one."""
LIMIT_S = 20.0
MANY = 600
"""More contexts than one LISTED frame has room for."""

FORGER = Function(
    "forger",
    "source",
    b"""
import os, struct, zlib

def send(kind, number):
    payload = b'{"forged":1}'
    head = struct.pack("<4sBBHQIII", b"SEUS", 1, 0, kind, number, 0, len(payload), 7)
    os.write(3, head + struct.pack("<I", zlib.crc32(head)) + payload)

def main(args):
    refused = 0
    for number in range(args["numbers"]):
        for kind in (*range(0x84), *range(0x86, 0x90)):
            try:
                send(kind, number)
            except OSError:
                refused += 1
    if args["answer"]:
        send(0x84, args["answer"])
        try:
            send(0x84, args["answer"])
        except OSError:
            os._exit(0)
    return {"refused": refused}
""",
)
COUNTER = Function(
    "counter",
    "source",
    b"COUNT = [0]\ndef main(args):\n    COUNT[0] += 1\n    return {'count': COUNT[0]}\n",
)
WRITEV = bytes.fromhex("b8140000000f05")
"""mov $20, %eax; syscall: the first of these in the interpreter sends a context's answers."""
HARMLESS = Function("harmless", "source", b"def main(args): return {'got': args['n']}")


@pytest.fixture
async def dispatcher(tmp_path: pathlib.Path) -> AsyncIterator[UcDispatcher]:
    settings = Settings(
        image=BUILD / "ebbrt-python.elf",
        store=tmp_path / "store",
        accelerator="tcg",
        isolation="uc",
        memory_mib=256,
        timeout_s=LIMIT_S,
    )
    async with UcDispatcher(settings) as running:
        await running.ensure_base()
        yield running


async def test_a_boot_that_fails_says_why(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.uc.node.UC_MEMORY_PART", hardware.memory_mib)  # 1 MiB each
    async with UcNode(hardware, BUILD / "ebbrt-python.elf") as node:
        for _ in range(2):
            async with asyncio.timeout(LIMIT_S):
                with pytest.raises(MachineError, match="limit 1024 KiB"):
                    await node.boot()


async def test_forged_answers_reach_nobody(dispatcher: UcDispatcher) -> None:
    node = (await dispatcher.life()).node
    forgers = [
        dispatcher.invoke(FORGER, {"numbers": 60, "answer": answer}) for answer in (0, 1, 9999)
    ]
    others = [dispatcher.invoke(HARMLESS, {"n": n}) for n in range(12)]
    told = [answer.result for answer in await asyncio.gather(*forgers, *others)]
    assert told[3:] == [{"got": n} for n in range(12)]
    # An answer under another's number is its own, and its second one never leaves it.
    assert told[:3] == [{"refused": 60 * 142}, {"forged": 1}, {"forged": 1}]
    assert node.strays == 0
    assert (await dispatcher.invoke(HARMLESS, {"n": 5})).result == {"got": 5}


async def test_deploy_time_comes_with_the_first_answer(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    loaded = await life.node.load(SNAPSHOT | life.base, HARMLESS, LIMIT_S)
    again = await life.node.invoke(loaded.context, b'{"n":1}', LIMIT_S)
    assert isinstance(loaded.answer, Frame) and isinstance(again.answer, Frame)
    status = await life.node.status()
    assert 0 < loaded.answer.deploy_ns == status["last_deploy_ns"] < 1_000_000_000
    assert again.answer.deploy_ns == 0
    deployed = await life.node.deploy(life.base)
    assert isinstance(deployed, tuple) and deployed[1] > 0
    # What DEPLOYED has told is not told again.
    first = await life.node.load(deployed[0], HARMLESS, LIMIT_S)
    assert isinstance(first.answer, Frame) and first.answer.deploy_ns == 0


async def test_every_context_is_listed(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    before = {context["id"] for context in (await life.node.list())["contexts"]}
    deployed = await asyncio.gather(*(life.node.deploy(life.base) for _ in range(MANY)))
    made = {told[0] for told in deployed if isinstance(told, tuple)}
    listed = await life.node.list()
    ids = [context["id"] for context in listed["contexts"]]
    assert len(made) == MANY and len(ids) == len(set(ids)) and made | before == set(ids)
    assert listed["context_count"] == len(ids)
    numbers = [snapshot["id"] for snapshot in listed["snapshots"]]
    assert life.base in numbers and listed["snapshot_count"] == len(numbers)
    await asyncio.gather(*(life.node.end(context) for context in made))
    assert {context["id"] for context in (await life.node.list())["contexts"]} == before


async def test_frames_are_back_when_the_end_is_told(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    node = life.node

    async def use() -> tuple[int, int]:
        loaded = await node.load(SNAPSHOT | life.base, HARMLESS, LIMIT_S)
        snapshot = (await node.capture(loaded.context)).snapshot
        held = await node.free_frames()
        await asyncio.gather(node.end(loaded.context), node.end(loaded.context))
        await node.evict(snapshot)
        return held, await node.free_frames()

    # The first times may fill the kernel's own caches.
    for _ in range(3):
        _, before = await use()
    for _ in range(10):
        held, after = await use()
        # Threads that run at the same time for the first time leave their stacks in the pool.
        assert held < before and 0 <= before - after <= TWO_STACKS


def sends_answers() -> int:
    """Return where the interpreter in the image makes the system call that sends an answer."""
    image = (BUILD / "ebbrt-python.elf").read_bytes()
    # Files in the archive begin on a page; the kernel's vDSO is another ELF file in it.
    for start in range(PAGE_SIZE, len(image), PAGE_SIZE):
        if image[start : start + 4] != b"\x7fELF":
            continue
        (headers,) = struct.unpack_from("<Q", image, start + 32)
        size, count = struct.unpack_from("<HH", image, start + 54)
        for number in range(count):
            at = start + headers + number * size
            kind, flags, offset, address = struct.unpack_from("<IIQQ", image, at)
            (length,) = struct.unpack_from("<Q", image, at + 32)
            if kind == 1 and flags & 1:  # loaded and executable
                found = image.find(WRITEV, start + offset, start + offset + length)
                if found >= 0:
                    return int(address + found - start - offset)
    raise AssertionError("the interpreter does not send answers as expected")


async def test_captured_at_a_breakpoint(dispatcher: UcDispatcher) -> None:
    life = await dispatcher.life()
    node = life.node
    context = (await node.load(SNAPSHOT | life.base, COUNTER, LIMIT_S)).context
    hit = await node.break_at(context, sends_answers())
    assert not hit.done()
    first = await node.invoke(context, b"{}", LIMIT_S)
    captured = node.captured(await hit)
    second = await node.invoke(context, b"{}", LIMIT_S)
    # In the middle of its first request, counted but not answered, and without knowing of it.
    copies = [await node.invoke(SNAPSHOT | captured.snapshot, b"{}", LIMIT_S) for _ in range(2)]
    counts = []
    for reply in (first, second, *copies):
        assert isinstance(reply.answer, Frame), reply.answer
        counts.append(reply.answer.json()["count"])
    assert counts == [1, 2, 2, 2]
    assert captured.parent == life.base and captured.pages > 0
    # What never comes is told when the context ends, and no address of the kernel is taken.
    waiting = await node.break_at(context, sends_answers())
    await node.end(context)
    assert (await waiting).error is not None
    with pytest.raises(MachineError, match="address"):
        await node.break_at(copies[0].context, 1 << 47)
    with pytest.raises(MachineError, match="no such context"):
        await node.break_at(context, 4096)
