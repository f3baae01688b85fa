"""What a node exports is not trusted."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import CaptureError
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.shared_memory import SharedMemory
from orchestrator.uc.node import UcNode
from orchestrator.uc.shared_region import ZERO_FRAME, SharedRegion
from orchestrator.uc.store import context_facts, export
from snapshot_store import PAGE_SIZE, PageSet
from snapshot_store.errors import SeussError

HARDWARE = Hardware(Accelerator("tcg", TCG_CPU, "TCG, for tests.", {}), memory_mib=64)


class FakeNode:
    """Says what a test has it say; page n of its memory is filled with n."""

    def __init__(self, payload: bytes = b"") -> None:
        self.hardware = HARDWARE
        self.region: SharedRegion | None = None
        self.memory = SharedMemory(HARDWARE.memory)
        for page in range(1, 4):
            self.memory.write(page, np.full((1, PAGE_SIZE), page, np.uint8))
        self.payload = payload

    async def export(self, snapshot: int) -> bytes:
        return self.payload


@pytest.fixture
def fake() -> Iterator[FakeNode]:
    node = FakeNode()
    yield node
    node.memory.close()


def payload(state: bytes, *records: tuple[int, int]) -> bytes:
    packed = b"".join(struct.pack("<QQ", *record) for record in records)
    return struct.pack("<I", len(state)) + state + packed


async def test_pages_are_read_from_the_nodes_memory(fake: FakeNode) -> None:
    fake.payload = payload(b"state", (9, 2), (5, ZERO_FRAME), (7, 3))
    exported = await export(cast(UcNode, fake), 1)
    assert exported.state == b"state"
    assert exported.pages.numbers.tolist() == [5, 7, 9]
    assert exported.pages.data[:, 0].tolist() == [0, 3, 2]
    assert exported.pages.zero.tolist() == [True, False, False]


async def test_pages_moved_within_the_region_are_read_there(fake: FakeNode) -> None:
    fake.region = SharedRegion(2 * PAGE_SIZE)
    fake.region.place(
        "a", PageSet(np.array([1, 2], np.uint64), np.full((2, PAGE_SIZE), 9, np.uint8))
    )
    behind = HARDWARE.memory // PAGE_SIZE
    fake.payload = payload(b"state", (9, 2), (5, behind + 1))
    exported = await export(cast(UcNode, fake), 1)
    assert exported.pages.data[:, 0].tolist() == [9, 2]
    fake.payload = payload(b"state", (5, behind + 2))
    with pytest.raises(CaptureError):
        await export(cast(UcNode, fake), 1)
    fake.region.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"abc",
        payload(b"state")[:-1],
        payload(b"", (1, 1))[:-1],
        struct.pack("<I", 2**32 - 1),
        payload(b"", (1, HARDWARE.memory // PAGE_SIZE)),
        payload(b"", (1, ZERO_FRAME - 1)),
        payload(b"", (1 << 35, 1)),
    ],
)
async def test_what_makes_no_sense_is_refused(fake: FakeNode, said: bytes) -> None:
    fake.payload = said
    with pytest.raises(CaptureError):
        await export(cast(UcNode, fake), 1)


async def test_a_page_twice_is_refused(fake: FakeNode) -> None:
    fake.payload = payload(b"", (1, 1), (1, 2))
    with pytest.raises(SeussError):
        await export(cast(UcNode, fake), 1)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_nothing_else(said: bytes) -> None:
    node = FakeNode(said)
    try:
        asyncio.run(export(cast(UcNode, node), 1))
    except SeussError:
        pass
    finally:
        node.memory.close()


def test_a_context_does_not_depend_on_the_machine() -> None:
    facts = HARDWARE.facts("QEMU 7.2")
    assert context_facts(facts) == {"accelerator": "tcg", "cpu": TCG_CPU, "qemu": "QEMU 7.2"}
