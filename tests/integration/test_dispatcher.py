"""The dispatcher with real machines and a guest that plays an interpreter (FrameGuest.cc)."""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator import answers
from orchestrator.anticipation import Anticipation
from orchestrator.errors import ImageError, MachineError, SettingsError
from orchestrator.function import Function
from orchestrator.machines import console
from orchestrator.machines.machine import Machine
from orchestrator.paths import Path
from orchestrator.rehearsal import REHEARSALS
from orchestrator.settings import Settings
from orchestrator.vm import instance, node
from orchestrator.vm.capture import Captured, capture_full
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.vm.pool import Pool, ReadyMachine
from snapshot_store import Draft, Level, Plan, Snapshot, SnapshotStore, StoreFullError
from tests.integration.guests import holdings

SETTLE_TURNS = 1000
HELLO = Function("hello", "source", b"def main(args): ...")
REHEARSED = REHEARSALS + 1
"""Loads and calls before a request's: ahead of the base, and when a machine is armed."""


@pytest.fixture
def settings(small_guests: pathlib.Path, tmp_path: pathlib.Path) -> Settings:
    return Settings(
        image=small_guests / "frame-guest.elf",
        store=tmp_path / "store",
        accelerator="tcg",
        memory_mib=64,
        pool_size=1,
    )


@pytest.fixture
async def orchestrator(settings: Settings) -> AsyncIterator[VmDispatcher]:
    """An orchestrator; whatever a test does with it, nothing may be left afterwards."""
    before = holdings()
    async with VmDispatcher(settings) as running:
        yield running
    assert holdings() == before


def function(code: str) -> Function:
    return Function("function", "source", code.encode())


async def test_each_path_starts_where_it_should(
    orchestrator: VmDispatcher, settings: Settings
) -> None:
    booted = await orchestrator.invoke(HELLO, {}, Path.BOOTED)
    assert booted.result is not None
    assert (booted.result["loads"], booted.result["calls"]) == (1, 1)
    assert booted.snapshot is None
    base = await orchestrator.ensure_base()
    cold = await orchestrator.invoke(HELLO, {}, Path.AUTO)
    assert cold.path is Path.COLD and cold.result is not None
    assert (cold.result["loads"], cold.result["calls"]) == (REHEARSED + 1, REHEARSED + 1)
    for _ in range(2):
        warm = await orchestrator.invoke(HELLO, {}, Path.AUTO)
        assert warm.path is Path.WARM and warm.result is not None
        assert (warm.result["loads"], warm.result["calls"]) == (REHEARSED + 1, REHEARSED + 1)
        assert warm.snapshot is not None and cold.snapshot in (None, warm.snapshot)
        assert warm.stdout == "out\n" and warm.stderr == "err\n"
    with SnapshotStore(settings.store) as store:
        assert warm.snapshot is not None
        levels = {manifest.id: manifest.level for manifest in store.list()}
        assert levels == {base.id: Level.BASE, warm.snapshot: Level.FUNCTION}
        lineage = store.lineage(warm.snapshot)
        assert [snapshot.id for snapshot in lineage] == [base.id, warm.snapshot]
        assert lineage[1].manifest.page_count >= 100
        assert lineage[1].manifest.page_count < 200


async def test_snapshots_outlive_the_orchestrator(settings: Settings) -> None:
    async with VmDispatcher(settings) as first:
        cold = await first.invoke(HELLO, {})
    async with VmDispatcher(settings) as second:
        warm = await second.invoke(HELLO, {})
    assert (cold.path, warm.path) == (Path.COLD, Path.WARM)
    assert warm.snapshot is not None and cold.snapshot in (None, warm.snapshot)


async def test_each_step_of_ao_has_a_base_of_its_own(settings: Settings) -> None:
    async with VmDispatcher(settings) as optimised:
        await optimised.ensure_base()
    bases = set()
    for step in (Anticipation.NETWORK, Anticipation.NONE):
        async with VmDispatcher(replace(settings, ao=step)) as plain:
            base = await plain.ensure_base()
            cold = await plain.invoke(HELLO, {})
        assert base.manifest.ao is (step is Anticipation.NETWORK)
        assert base.manifest.facts["ao"] == step
        assert cold.result is not None and cold.result["loads"] == 1
        bases.add(base.id)
    assert len(bases) == 2


async def test_phases_tell_what_the_pool_did_ahead(orchestrator: VmDispatcher) -> None:
    await orchestrator.prepare(1)
    cold = await orchestrator.invoke(HELLO, {}, Path.COLD)
    await orchestrator.prepare(1)
    warm = await orchestrator.invoke(HELLO, {}, Path.WARM)
    booted = await orchestrator.invoke(HELLO, {}, Path.BOOTED)
    assert cold.pooled and warm.pooled and not booted.pooled
    assert cold.phases.spawn == 0 and warm.phases.spawn == 0
    assert warm.phases.import_ is None and warm.phases.capture is None
    for invocation in (cold, warm, booted):
        parts = [part for part in invocation.phases.to_json().values() if part is not None]
        assert sum(parts) == pytest.approx(invocation.latency_ms, rel=0.05, abs=1.0)


async def test_clones_get_different_seeds(orchestrator: VmDispatcher) -> None:
    answers = [await orchestrator.invoke(HELLO, {}) for _ in range(4)]
    seeds = {answer.result["seed"] for answer in answers if answer.result is not None}
    assert len(seeds) == 4 and "0" * 16 not in seeds


async def test_many_at_the_same_time(orchestrator: VmDispatcher) -> None:
    await orchestrator.ensure_base()
    functions = [function(f"number {number % 3}") for number in range(9)]
    answers = await asyncio.gather(*(orchestrator.invoke(each, {}) for each in functions))
    assert all(answer.ok for answer in answers)


@pytest.mark.parametrize("path", [Path.BOOTED, Path.COLD, Path.WARM, Path.AUTO])
async def test_error_while_loading_is_the_answer(orchestrator: VmDispatcher, path: Path) -> None:
    answer = await orchestrator.invoke(function("load-error"), {}, path)
    assert answer.error is not None
    assert answer.error.to_json() == {
        "kind": "exception",
        "message": "asked for",
        "traceback": "line 1",
    }
    assert answer.snapshot is None
    assert answer.path is (Path.COLD if path is Path.AUTO else path)
    assert (await orchestrator.invoke(HELLO, {}, path)).ok


@pytest.mark.parametrize(
    ("word", "kind", "message"),
    [
        ("error", "exception", "asked for"),
        ("panic", "node-died", "guest ended with failure"),
        ("noise", "protocol", "magic"),
        ("id", "protocol", "answered request"),
        ("type", "protocol", "was due"),
        ("list", "protocol", "not an object"),
        ("ended", "exit", "gone"),
    ],
)
async def test_hostile_guests_only_spoil_their_own_answer(
    orchestrator: VmDispatcher, word: str, kind: str, message: str
) -> None:
    loading = await orchestrator.invoke(function(f"load-{word}"), {})
    running = await orchestrator.invoke(HELLO, {"do": f"run-{word}"})
    for answer in (loading, running):
        assert answer.error is not None
        assert answer.error.kind == kind and message in answer.error.message
    if kind == "node-died":
        assert "panic: asked for" in ((running.error and running.error.traceback) or "")
    again = await orchestrator.invoke(HELLO, {})
    assert again.ok and again.path is Path.WARM


async def test_guest_that_does_not_answer_times_out(
    orchestrator: VmDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "GRACE_S", 0.1)
    for answer in (
        await orchestrator.invoke(function("load-hang"), {}, timeout_s=0.1),
        await orchestrator.invoke(HELLO, {"do": "run-hang"}, timeout_s=0.1),
    ):
        assert answer.error is not None and answer.error.kind == "timeout"
    assert (await orchestrator.invoke(HELLO, {})).ok


@pytest.mark.parametrize("held", [console.LIMIT, 1 << 16])
async def test_output_is_bounded_and_none_is_lost(
    orchestrator: VmDispatcher, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    # With little held the guest is faster than its reader, and must be made to wait.
    monkeypatch.setattr(console, "LIMIT", held)
    answer = await orchestrator.invoke(HELLO, {"do": "run-flood"})
    assert answer.ok and answer.stdout_truncated and not answer.stderr_truncated
    assert len(answer.stdout) == answers.OUTPUT_LIMIT


async def test_arguments_that_cannot_be_sent_are_an_error(orchestrator: VmDispatcher) -> None:
    large = await orchestrator.invoke(HELLO, {"text": "x" * (9 << 20)})
    assert large.error is not None and large.error.kind == "args-too-large"
    odd = await orchestrator.invoke(HELLO, {"number": float("nan")})
    assert odd.error is not None and odd.error.kind == "bad-request"


async def test_damaged_function_snapshot_is_made_anew(settings: Settings) -> None:
    async with VmDispatcher(settings) as first:
        assert (await first.invoke(HELLO, {})).path is Path.COLD
    damage(settings.store, stored_function(settings.store))
    async with VmDispatcher(settings) as second:
        again = await second.invoke(HELLO, {})
        assert again.ok and again.path is Path.COLD
        assert (await second.invoke(HELLO, {})).path is Path.WARM


def stored_function(store: pathlib.Path) -> str:
    """Return the id of the only function snapshot."""
    with SnapshotStore(store) as opened:
        (manifest,) = opened.find(level=Level.FUNCTION)
    return manifest.id


def damage(store: pathlib.Path, snapshot: str) -> None:
    """Flip one bit in the pages of a snapshot."""
    (pages,) = store.rglob(f"{snapshot}/pages.bin")
    content = bytearray(pages.read_bytes())
    content[len(content) // 2] ^= 4
    pages.chmod(0o600)
    pages.write_bytes(content)


async def test_damaged_base_is_taken_anew(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with VmDispatcher(settings) as first:
        base = await first.ensure_base()
    damage(settings.store, base.id)
    taken = set()
    for _ in range(2):
        caplog.clear()
        async with VmDispatcher(settings) as second:
            assert (await second.invoke(HELLO, {})).ok
            taken.add((await second.ensure_base()).id)
        told = [record for record in caplog.records if record.name == node.__name__]
        # Once at the most: a later run may find the new base first.
        assert len(told) <= 1 and all(base.id in record.getMessage() for record in told)
    assert len(taken) == 1 and base.id not in taken


async def test_answer_does_not_wait_for_the_disk(
    orchestrator: VmDispatcher, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await orchestrator.ensure_base()
    may_write = threading.Event()
    carry_out = SnapshotStore.carry_out

    def wait_and_carry_out(store: SnapshotStore, plan: Plan) -> Snapshot:
        assert may_write.wait(60)
        return carry_out(store, plan)

    monkeypatch.setattr(SnapshotStore, "carry_out", wait_and_carry_out)
    cold = await orchestrator.invoke(HELLO, {})
    warm = await orchestrator.invoke(HELLO, {})
    assert (cold.path, warm.path) == (Path.COLD, Path.WARM)
    assert warm.snapshot is not None and cold.snapshot in (None, warm.snapshot)
    with SnapshotStore(settings.store) as store:
        assert warm.snapshot not in {manifest.id for manifest in store.list()}
        may_write.set()
        await orchestrator.flush()
        assert store.verify(warm.snapshot).ok


async def test_full_disk_costs_the_snapshot_and_not_the_answer(
    orchestrator: VmDispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await orchestrator.ensure_base()

    def fail(store: SnapshotStore, plan: Plan) -> Snapshot:
        raise StoreFullError("no room left")

    with monkeypatch.context() as full:
        full.setattr(SnapshotStore, "carry_out", fail)
        for _ in range(2):
            answer = await orchestrator.invoke(HELLO, {})
            assert answer.ok and answer.path is Path.COLD
            await orchestrator.flush()
            assert re.search(r"snapshot \w{16} of hello is lost: no room", caplog.text)
            caplog.clear()
    assert (await orchestrator.invoke(HELLO, {})).path is Path.COLD
    assert (await orchestrator.invoke(HELLO, {})).path is Path.WARM


async def test_base_deleted_by_another_costs_the_snapshot_and_not_the_answer(
    orchestrator: VmDispatcher, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    base = await orchestrator.ensure_base()
    with SnapshotStore(settings.store) as store:
        store.delete(base.id)
    answer = await orchestrator.invoke(HELLO, {})
    assert answer.ok and answer.snapshot is None
    await orchestrator.flush()
    assert f"there is no snapshot {base.id}" in caplog.text


async def test_function_snapshot_deleted_by_another_is_taken_anew(settings: Settings) -> None:
    async with VmDispatcher(settings) as running:
        assert (await running.invoke(HELLO, {})).path is Path.COLD
    async with VmDispatcher(settings) as running:
        await running.ensure_base()
        with SnapshotStore(settings.store) as store:
            store.delete(stored_function(settings.store))
        assert (await running.invoke(HELLO, {})).path is Path.COLD


async def test_orchestrators_that_start_together_share_a_base(settings: Settings) -> None:
    async def use() -> str:
        async with VmDispatcher(settings) as running:
            await running.invoke(HELLO, {})
            return (await running.ensure_base()).id

    assert len(set(await asyncio.gather(use(), use(), use()))) == 1
    with SnapshotStore(settings.store) as store:
        assert len(store.find(level=Level.BASE)) == 1


@pytest.mark.parametrize("path", [Path.COLD, Path.WARM])
async def test_a_machine_that_died_before_its_use_is_replaced(
    orchestrator: VmDispatcher, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    first = await orchestrator.invoke(HELLO, {}, Path.WARM)
    await orchestrator.prepare(1, path)
    take, taken = Pool.take, []

    async def take_one_that_dies(pool: Pool[ReadyMachine]) -> tuple[ReadyMachine, bool]:
        ready, pooled = await take(pool)
        taken.append(pooled)
        if len(taken) == 1:
            os.kill(ready.machine.pid, signal.SIGKILL)
        return ready, pooled

    monkeypatch.setattr(Pool, "take", take_one_that_dies)
    answer = await orchestrator.invoke(HELLO, {}, path)
    assert answer.ok and answer.path is path and answer.snapshot == first.snapshot
    assert len(taken) == 2 and taken[0]


async def test_another_image_is_not_booted(settings: Settings, tmp_path: pathlib.Path) -> None:
    image = tmp_path / "image.elf"
    image.write_bytes(settings.image.read_bytes())
    async with VmDispatcher(replace(settings, image=image)) as running:
        image.write_bytes(settings.image.read_bytes() + b"rebuilt")
        with pytest.raises(ImageError, match="was rebuilt"):
            await running.invoke(HELLO, {}, Path.BOOTED)


async def test_image_rebuilt_while_its_base_is_taken(
    settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image.elf"
    image.write_bytes(settings.image.read_bytes())

    async def rebuild_and_capture(machine: Machine) -> Captured:
        image.write_bytes(settings.image.read_bytes() + b"rebuilt")
        return await capture_full(machine)

    monkeypatch.setattr(node, "capture_full", rebuild_and_capture)
    async with VmDispatcher(replace(settings, image=image)) as running:
        with pytest.raises(ImageError, match="was rebuilt"):
            await running.ensure_base()
    with SnapshotStore(settings.store) as store:
        assert store.list() == []


async def test_a_function_has_one_snapshot(orchestrator: VmDispatcher, settings: Settings) -> None:
    await orchestrator.ensure_base()
    together = await asyncio.gather(*(orchestrator.invoke(HELLO, {}) for _ in range(4)))
    again = await orchestrator.invoke(HELLO, {}, Path.COLD)
    assert again.path is Path.COLD
    async with VmDispatcher(settings) as another:
        elsewhere = await another.invoke(HELLO, {}, Path.COLD)
    assert Counter(answer.path for answer in together) == {Path.COLD: 1, Path.WARM: 3}
    named = {answer.snapshot for answer in (*together, again, elsewhere)} - {None}
    assert named == {stored_function(settings.store)}


async def test_first_calls_that_fail_to_import_do_not_wait_in_line(
    orchestrator: VmDispatcher,
) -> None:
    broken = function("load-error")
    answers = await asyncio.gather(*(orchestrator.invoke(broken, {}) for _ in range(3)))
    kinds = [answer.error and answer.error.kind for answer in answers]
    assert kinds == ["exception"] * 3


async def test_a_capture_that_takes_long_delays_no_answer(
    orchestrator: VmDispatcher, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await orchestrator.ensure_base()
    may_plan = threading.Event()
    plan = SnapshotStore.plan

    def wait_and_plan(store: SnapshotStore, draft: Draft) -> Plan:
        assert may_plan.wait(60)
        return plan(store, draft)

    monkeypatch.setattr(SnapshotStore, "plan", wait_and_plan)
    cold = await orchestrator.invoke(HELLO, {})
    may_plan.set()
    assert cold.ok and cold.path is Path.COLD and cold.snapshot is None
    await orchestrator.flush()
    assert (await orchestrator.invoke(HELLO, {})).snapshot == stored_function(settings.store)


async def test_starting_point_is_what_auto_takes(orchestrator: VmDispatcher) -> None:
    for path in (Path.COLD, Path.WARM):
        assert await orchestrator.starting_point(HELLO) is path
        await orchestrator.prepare(1, path)
        answer = await orchestrator.invoke(HELLO, {})
        assert answer.path is path and answer.pooled


async def test_reading_a_snapshot_is_part_of_the_latency(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with VmDispatcher(settings) as first:
        await first.invoke(HELLO, {})
    async with VmDispatcher(settings) as second:
        await second.prepare(1)
        opened = SnapshotStore.open

        def slowly(store: SnapshotStore, snapshot: str, *, verify: bool = False) -> Snapshot:
            time.sleep(0.3)
            return opened(store, snapshot, verify=verify)

        monkeypatch.setattr(SnapshotStore, "open", slowly)
        warm = await second.invoke(HELLO, {}, Path.WARM)
        assert warm.path is Path.WARM and warm.latency_ms >= 300
        assert (warm.phases.restore or 0) >= 300


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), 1e300])
async def test_limit_that_cannot_be_is_refused(orchestrator: VmDispatcher, limit: float) -> None:
    with pytest.raises(SettingsError, match="timeout"):
        await orchestrator.invoke(HELLO, {}, timeout_s=limit)


async def test_image_that_is_none_is_named(settings: Settings, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ImageError, match=r"missing\.elf"):
        async with VmDispatcher(replace(settings, image=tmp_path / "missing.elf")):
            pass
    before = holdings()
    write_no_image(tmp_path / "no-image.elf")
    with pytest.raises(MachineError, match="did not start"):
        async with VmDispatcher(replace(settings, image=tmp_path / "no-image.elf")) as running:
            await running.invoke(HELLO, {})
    assert holdings() == before


def write_no_image(path: pathlib.Path) -> None:
    path.write_bytes(b"this is no guest")


@pytest.mark.parametrize("path", [Path.BOOTED, Path.COLD, Path.WARM])
async def test_cancelled_at_any_time_leaves_nothing(orchestrator: VmDispatcher, path: Path) -> None:
    assert (await orchestrator.invoke(HELLO, {}, Path.WARM)).ok
    for turn in range(12):
        task = asyncio.create_task(orchestrator.invoke(HELLO, {}, path))
        await asyncio.sleep(turn * 0.004)
        task.cancel()
        await asyncio.wait((task,))
    assert (await orchestrator.invoke(HELLO, {}, path)).ok


async def test_cancelled_while_the_base_is_taken(settings: Settings) -> None:
    before = holdings()
    for turn in range(10):
        task = asyncio.create_task(use_once(settings))
        await asyncio.sleep(turn * 0.03)
        task.cancel()
        await asyncio.wait((task,))
        del task  # its exception refers to all that was open when it was raised
        # asyncio closes the pipes of ended processes when it hears of their end.
        for _ in range(SETTLE_TURNS):
            if holdings() == before:
                break
            await asyncio.sleep(0.01)
        assert holdings() == before
    assert await use_once(settings)


async def use_once(settings: Settings) -> bool:
    async with VmDispatcher(settings) as running:
        await running.prepare(1)
        return (await running.invoke(HELLO, {})).ok
