"""The container pool's choices, with containers that only keep a record."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from experiments.peers.errors import PeerError
from experiments.peers.peer import Instance, Peer
from experiments.peers.pool import PREWARMED, ContainerPool
from experiments.systems import idle_bytes


class Fake(Instance):
    """Answers with its number; holds a call back until `free` is set."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sources: list[bytes] = []
        self.paused = 0
        self.closed = False
        self.stopped = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def call(self, arguments: dict[str, Any], source: bytes | None = None) -> dict[str, Any]:
        if source is not None:
            self.sources.append(source)
        await self.free.wait()
        if arguments.get("fail"):
            raise PeerError("no luck")
        return {"number": self.number}

    async def pause(self) -> None:
        self.paused += 1
        self.stopped.set()

    async def resume(self) -> None:
        self.paused -= 1

    async def close(self) -> None:
        self.closed = True


class FakePeer(Peer):
    """Makes fakes and remembers them."""

    name = title = "fake"

    def __init__(self) -> None:
        self.made: list[Fake] = []

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        pass

    async def _start(self) -> Instance:
        await asyncio.sleep(0)
        self.made.append(Fake(len(self.made)))
        return self.made[-1]


class Sharing(FakePeer):
    """Containers of 2 MB each that share 30 MB: as the kernel splits it among those there are."""

    async def _start(self) -> Instance:
        made = await super()._start()
        made.memory = lambda: 2_000_000 + 30_000_000 // len(self._instances)  # type: ignore[method-assign]
        return made


async def test_what_containers_share_is_counted_once() -> None:
    peer = Sharing()
    async with peer:
        shared, each = await idle_bytes(peer)
        assert each == pytest.approx(2e6, rel=1e-3) and shared == pytest.approx(30e6, rel=1e-3)
        assert all(fake.closed for fake in peer.made)


async def settle() -> None:
    """Let what goes on in the background come to its end."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_prewarmed_then_hot_then_new() -> None:
    async with FakePeer() as peer, ContainerPool(peer, 4) as pool:
        first = await pool.invoke("a", b"A", {})
        again = await pool.invoke("a", b"A", {})
        assert (first.path, again.path) == ("prewarmed", "hot")
        assert first.result == again.result
        await settle()
        paths = [(await pool.invoke(name, name.encode(), {})).path for name in "bcd"]
        assert paths[0] == "prewarmed"
        assert [each.sources for each in peer.made if each.sources][:2] == [[b"A"], [b"b"]]
    assert all(each.closed for each in peer.made)


async def test_full_node_gives_up_the_least_recently_used() -> None:
    async with FakePeer() as peer, ContainerPool(peer, PREWARMED + 1) as pool:
        for name in "abc":
            await pool.invoke(name, name.encode(), {})
            await settle()
        await pool.invoke("a", b"a", {})
        assert (await pool.invoke("d", b"d", {})).path == "new"
        await settle()
        gone = [each.sources for each in peer.made if each.closed]
        assert gone == [[b"b"]]
        assert (await pool.invoke("a", b"a", {})).path == "hot"


async def test_calls_wait_while_all_are_busy() -> None:
    async with FakePeer() as peer, ContainerPool(peer, PREWARMED + 1) as pool:
        for name in "abc":
            await pool.invoke(name, b"", {})
            await settle()
        for each in peer.made:
            each.free.clear()
        busy = [asyncio.create_task(pool.invoke(name, b"", {})) for name in "abc"]
        late = asyncio.create_task(pool.invoke("a", b"", {}))
        await settle()
        assert not late.done()
        assert len(peer.made) == PREWARMED + 1
        for each in peer.made:
            each.free.set()
        assert (await late).path == "hot"
        await asyncio.gather(*busy)


async def test_failed_container_is_removed_and_its_place_free() -> None:
    async with FakePeer() as peer, ContainerPool(peer, PREWARMED + 1) as pool:
        for _ in range(5):
            with pytest.raises(PeerError, match="no luck"):
                await pool.invoke("a", b"", {"fail": True})
        await settle()
        assert sum(each.closed for each in peer.made) == 5
        assert (await pool.invoke("a", b"", {})).result


async def test_idle_ones_are_paused_and_resumed() -> None:
    async with FakePeer() as peer, ContainerPool(peer, 4, pause_after_s=0.02) as pool:
        served = await pool.invoke("a", b"", {})
        used = peer.made[served.result["number"]]
        await asyncio.wait_for(used.stopped.wait(), 10)
        assert (await pool.invoke("a", b"", {})).path == "hot"
        assert used.paused == 0


async def test_paused_ones_keep_their_order() -> None:
    async with FakePeer() as peer, ContainerPool(peer, 4, pause_after_s=0.01) as pool:
        for name in ("oldest", "older", "newest"):
            await pool.invoke(name, b"", {})
            await asyncio.sleep(0.002)
        used = [fake for fake in peer.made if fake.sources]
        await asyncio.wait_for(asyncio.gather(*(fake.stopped.wait() for fake in used)), 10)
        await settle()
        assert [each.function for each in pool._idle] == ["oldest", "older", "newest"]


async def test_pool_without_room_is_refused() -> None:
    async with FakePeer() as peer:
        with pytest.raises(PeerError, match="more memory"):
            ContainerPool(peer, PREWARMED)


async def test_a_pause_that_runs_is_waited_for_when_the_pool_ends() -> None:
    async with FakePeer() as peer:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def pause() -> None:
            begun.set()
            await go_on.wait()
            whole.append(peer.made[0].closed)

        whole: list[bool] = []

        async def use() -> None:
            async with ContainerPool(peer, 4, pause_after_s=0.01) as pool:
                peer.made[0].pause = pause  # type: ignore[method-assign]
                await pool.invoke("a", b"A", {})
                await begun.wait()

        ending = asyncio.create_task(use())
        await begun.wait()
        await settle()
        assert not ending.done()
        go_on.set()
        await ending
        assert whole == [False]
