"""The kernel's driver and stack on a card whose other end is this test, frame by frame."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from orchestrator.machines.command_line import CONSOLE_BUS, MACHINE_OPTIONS, NETWORK_CARD
from orchestrator.settings import Machine
from tests.integration.conftest import BUILD

OWN, PEER = socket.inet_aton("10.0.2.15"), socket.inet_aton("10.0.2.2")
CARD, PEER_CARD = bytes.fromhex("525400123456"), bytes.fromhex("525500000001")
PATIENCE_S = 30.0
FRAMES = 3000
AT_ONCE = 50


def ask_for_address() -> bytes:
    head = b"\xff" * 6 + PEER_CARD + b"\x08\x06"
    return head + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + PEER_CARD + PEER + bytes(6) + OWN


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def echo_request(number: int, size: int) -> bytes:
    body = struct.pack("!HH", 7, number) + bytes(number % 251 for _ in range(size))
    message = b"\x08\x00" + struct.pack("!H", checksum(b"\x08\x00\x00\x00" + body)) + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), number, 0, 64, 1, 0) + PEER + OWN
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return CARD + PEER_CARD + b"\x08\x00" + head + message


class Wire(asyncio.DatagramProtocol):
    """One datagram is one frame."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, sender: object) -> None:
        self.frames.put_nowait(data)


class Peer:
    """Who sits at the other end of the wire."""

    def __init__(self, wire: Wire, transport: asyncio.DatagramTransport, card: int) -> None:
        self.wire, self.transport, self.card = wire, transport, card

    def send(self, frame: bytes) -> None:
        self.transport.sendto(frame, ("127.0.0.1", self.card))

    async def answered(self, frame: bytes, mark: bytes) -> bytes:
        """Send a frame, again and again, until an answer has `mark` in it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.send(frame)
                try:
                    while mark not in (found := await asyncio.wait_for(self.wire.frames.get(), 1)):
                        if found[12:14] == b"\x08\x06" and found[20:22] == b"\x00\x01":
                            self._give_address()
                    return found
                except TimeoutError:
                    continue

    def _give_address(self) -> None:
        answer = struct.pack("!HHBBH", 1, 0x800, 6, 4, 2)
        self.send(CARD + PEER_CARD + b"\x08\x06" + answer + PEER_CARD + PEER + CARD + OWN)


def free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@pytest.fixture(params=["microvm", "q35"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    machine: Machine = request.param
    loop = asyncio.get_running_loop()
    transport, wire = await loop.create_datagram_endpoint(Wire, local_addr=("127.0.0.1", 0))
    here, card = transport.get_extra_info("sockname")[1], free_port()
    ends = f"local.type=inet,local.host=127.0.0.1,local.port={card}"
    ends += f",remote.type=inet,remote.host=127.0.0.1,remote.port={here}"
    process = await asyncio.create_subprocess_exec(
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *(
            "-no-reboot",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            "128M",
            "-M",
            MACHINE_OPTIONS[machine],
        ),
        *("-kernel", str(BUILD / "ebbrt-python.elf"), *CONSOLE_BUS[machine]),
        *("-chardev", "null,id=none", "-device", "virtconsole,chardev=none"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *("-netdev", f"dgram,id=network,{ends}"),
        *("-device", f"{NETWORK_CARD[machine]},netdev=network,mac=52:54:00:12:34:56"),
    )
    try:
        yield Peer(wire, transport, card)
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        transport.close()


async def test_frames_go_in_and_out_and_bad_ones_do_no_harm(peer: Peer) -> None:
    answer = await peer.answered(ask_for_address(), b"\x00\x02" + CARD + OWN)
    assert answer[:6] == PEER_CARD
    for number, size in enumerate((0, 56, 1400, 1472)):
        request = echo_request(number, size)
        answer = await peer.answered(request, request[38 : 42 + size])
        assert answer[34:36] == b"\x00\x00"
    chance = random.Random(6)
    for number in range(FRAMES):
        kind = number % 4
        frame = bytearray(echo_request(number, 100) if kind else chance.randbytes(200))
        for _ in range(chance.randrange(1, 6)):
            frame[chance.randrange(12, 60)] = chance.randrange(256)
        if kind == 2:
            frame = frame[: chance.randrange(1, 60)]
        elif kind == 3:
            frame += bytes(chance.randrange(1600, 9000))
        peer.send(bytes(frame))
        if number % AT_ONCE == 0:
            # Those between may be lost; that each batch was looked at, this shows.
            request = echo_request(number, 30)
            await peer.answered(request, request[38:72])
