"""Snapshots of contexts outside of their node: stored, verified, taken in again, shared."""

from __future__ import annotations

import asyncio
import pathlib
from dataclasses import replace

import pytest

from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc import dispatcher as dispatcher_module
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import UcNode
from orchestrator.uc.shared_region import SharedRegion
from orchestrator.uc.store import StoredContexts
from orchestrator.wire import SNAPSHOT
from snapshot_store import PAGE_SIZE, Depth, Level, Manifest, SnapshotStore
from tests.integration.conftest import BUILD
from tests.integration.guests import holdings, region_kib

IMAGE = BUILD / "ebbrt-python.elf"
NODES = 10
HELLO = Function(
    "hello", "source", b"import json\nTEXT = 'x' * 50000\ndef main(args): return {'got': args}"
)
UNIQUE = Function(
    "unique", "source", b"import uuid\ndef main(args): return {'id': str(uuid.uuid4())}"
)


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(
        image=IMAGE, store=tmp_path / "store", accelerator="tcg", isolation="uc", memory_mib=192
    )


async def test_a_new_node_starts_from_the_store(settings: Settings) -> None:
    before = holdings()
    async with UcDispatcher(settings) as first:
        cold = await first.invoke(HELLO, {"n": 1})
        ids = [await first.invoke(UNIQUE, {}, path) for path in (Path.COLD, Path.WARM)]
    with SnapshotStore(settings.store) as store:
        manifests = store.list()
        assert {each.depth for each in manifests} == {Depth.UC}
        base = next(each for each in manifests if each.level is Level.BASE)
        functions = [each for each in manifests if each.level is Level.FUNCTION]
        assert [each.parent for each in functions] == [base.id] * 2
        assert {each.function for each in functions} == {HELLO.id, UNIQUE.id}
        assert all(each.page_count < base.page_count / 2 for each in functions)
        assert all(store.verify(each.id).ok for each in manifests)
        assert all(_unchanged_pages(store, each) == 0 for each in functions)
    async with UcDispatcher(settings) as second:
        warm = await second.invoke(HELLO, {"n": 1})
        hot = await second.invoke(HELLO, {"n": 1})
        ids += [await second.invoke(UNIQUE, {}, path) for path in (Path.WARM, Path.WARM)]
        # Nothing of it needed a UC from the program.
        new = await second.invoke(replace(HELLO, name="new", code=HELLO.code + b"\n"), {"n": 1})
    assert [each.path for each in (cold, warm, hot, new)] == ["cold", "warm", "hot", "cold"]
    assert cold.result == warm.result == hot.result == new.result == {"got": {"n": 1}}
    assert warm.phases.restore is not None
    assert warm.snapshot in {each.id for each in functions}
    assert len({str(each.result) for each in ids}) == len(ids)
    assert holdings() == before


def _unchanged_pages(store: SnapshotStore, manifest: Manifest) -> int:
    """Count those of a snapshot's pages that are as in its base."""
    base, function = store.open(manifest.id).lineage()
    return len(function.pages()) - len(function.pages().changed_from(base.pages()))


async def test_damage_is_found_and_the_function_imported_again(settings: Settings) -> None:
    async with UcDispatcher(settings) as first:
        await first.invoke(HELLO, {})
    with SnapshotStore(settings.store) as store:
        (manifest,) = store.find(level=Level.FUNCTION)
    pages = next(settings.store.rglob(f"{manifest.id}/pages.bin"))
    damaged = bytearray(pages.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    pages.chmod(0o600)
    pages.write_bytes(damaged)
    async with UcDispatcher(settings) as second:
        again = await second.invoke(HELLO, {"n": 1})
    assert again.path is Path.COLD and again.result == {"got": {"n": 1}}


async def test_a_node_refuses_a_state_that_was_tampered_with(settings: Settings) -> None:
    async with UcDispatcher(settings) as dispatcher:
        life = await dispatcher.life()
        payload = bytearray(await life.node.export(life.base))
        payload[20] ^= 1
        with pytest.raises(MachineError, match="damaged"):
            await life.node.import_snapshot(bytes(payload), 0)
        with pytest.raises(MachineError, match="could not import"):
            await life.node.import_snapshot(b"\xff" * 40, 0)
        assert (await dispatcher.invoke(HELLO, {})).ok


async def test_ten_nodes_take_one_copy_of_the_base(settings: Settings) -> None:
    async with UcDispatcher(settings) as first:
        await first.invoke(HELLO, {})
    hardware = Hardware(Accelerator("tcg", TCG_CPU, "TCG, for tests.", {}), memory_mib=96)
    region = SharedRegion()
    with SnapshotStore(settings.store) as store:
        (base,) = store.find(level=Level.BASE)
        (function,) = store.find(level=Level.FUNCTION)
        stored = StoredContexts(store, base.image, base.runtime, base.facts, True, region)
        nodes = [UcNode(hardware, IMAGE, region) for _ in range(NODES)]
        try:
            for node in nodes:
                await node.start()
                number = await stored.bring_in(node, store.open(base.id), 0)
                number = await stored.bring_in(node, store.open(function.id), number)
                reply = await node.invoke(SNAPSHOT | number, b'{"n": 2}', 20.0)
                assert reply.error is None
            mapped = [region_kib(node.machine.pid) for node in nodes]
        finally:
            await asyncio.gather(*(node.close() for node in nodes))
            region.close()
    copy = (base.stored_pages + function.stored_pages) * PAGE_SIZE / 1024
    touched = min(rss for rss, _ in mapped)
    assert touched > 1024
    # Each sees the pages it used, and all of them together have one copy.
    assert sum(pss for _, pss in mapped) <= copy
    assert sum(rss for rss, _ in mapped) > 5 * sum(pss for _, pss in mapped)


async def test_forgotten_snapshots_give_their_pages_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = [replace(HELLO, name=f"f{n}", code=HELLO.code + b"\n" * n) for n in range(6)]
    async with UcDispatcher(settings) as first:
        for function in functions:
            await first.invoke(function, {})
    with SnapshotStore(settings.store) as store:
        (base,) = store.find(level=Level.BASE)
        most = max(each.stored_pages for each in store.find(level=Level.FUNCTION))
    # Room for the base and one function, and a little.
    size = (base.stored_pages + most + most // 2) * PAGE_SIZE
    monkeypatch.setattr(
        dispatcher_module, "SharedRegion", lambda **_: SharedRegion(size + -size % (1 << 20))
    )
    async with UcDispatcher(settings) as second:
        for n, function in enumerate(functions * 2):
            answer = await second.invoke(function, {"n": n})
            assert answer.path is Path.WARM and answer.result == {"got": {"n": n}}
        assert len((await second.life()).snapshots) < len(functions)
