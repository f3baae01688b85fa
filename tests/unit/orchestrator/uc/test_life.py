"""What a node's life keeps and frees, with a node that only pretends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.settings import Settings
from orchestrator.uc import life as lives
from orchestrator.uc.life import Life
from orchestrator.uc.needs import Needs
from orchestrator.uc.node import UcNode
from orchestrator.uc.store import StoredContexts

FUNCTION = Function("f", "source", b"")
SETTINGS = Settings(hot_idle_s=0.2)


class FakeNode:
    """Has no free memory, and notes which snapshots it was told to forget."""

    def __init__(self) -> None:
        self.hardware = Hardware(Accelerator("tcg", TCG_CPU, "TCG, for tests.", {}), memory_mib=64)
        self.alive = True
        self.evicted: list[int] = []
        self.ended: list[int] = []
        self.frames: int | None = None

    def end_soon(self, context: int) -> None:
        self.ended.append(context)

    async def evict(self, snapshot: int) -> None:
        self.evicted.append(snapshot)

    async def list(self) -> dict[str, Any]:
        return {"contexts": []}

    async def free_frames(self) -> int:
        if self.frames is not None:
            return self.frames
        self.alive = False
        raise MachineError("The node ended.")


class FakeStore:
    """Brings any snapshot in, under numbers that count up from 1."""

    def __init__(self) -> None:
        self._number = 0

    async def open(self, manifest: object) -> object:
        return manifest

    async def bring_in(self, *_: object) -> int:
        self._number += 1
        number = self._number
        await asyncio.sleep(0)
        return number


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def life(node: FakeNode) -> Life:
    made = Life(cast(UcNode, node), cast(StoredContexts, FakeStore()), SETTINGS, Needs(4096))
    made.known[FUNCTION.id] = cast(Any, SimpleNamespace(id="stored"))
    return made


async def test_of_two_brought_in_one_is_forgotten(life: Life, node: FakeNode) -> None:
    numbers = await asyncio.gather(life.bring_in(FUNCTION), life.bring_in(FUNCTION))
    assert [*numbers] == [1, 2]
    await life.flush()
    assert node.evicted == [1] and life.snapshots.find(FUNCTION.id) == 2


async def test_snapshots_that_calls_use_stay(life: Life, node: FakeNode) -> None:
    node.frames = 0
    place = life.room.claim(FUNCTION, lambda: True)
    assert await place.wait()
    life.snapshots.put(FUNCTION.id, 3)
    life.arguments.kept.put(FUNCTION.id, "key", 4)
    place.snapshot = 4
    assert not await life.free_something()
    place.snapshot = 3
    assert await life.free_something() and not await life.free_something()
    assert node.evicted == [4]
    place.release()
    assert await life.free_something()
    assert node.evicted == [4, 3]


async def test_a_node_that_ends_while_its_memory_is_looked_at(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "CHECK_PAUSE_S", 0)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    life.look_after_memory()
    for _ in range(10):
        await asyncio.sleep(0)
    life._look = None  # a task whose error nobody took complains when it goes
    assert complaints == []


async def test_contexts_that_nobody_uses_are_ended(life: Life, node: FakeNode) -> None:
    node.frames = 1 << 20
    life.keep_idle("f", 1)
    await asyncio.sleep(0.1)
    life.keep_idle("g", 2)
    life.keep_idle("f", life.idle.take("f") or 0)
    for _ in range(100):
        if len(life.idle) == 0:
            break
        await asyncio.sleep(0.05)
    assert node.ended == [2, 1]
