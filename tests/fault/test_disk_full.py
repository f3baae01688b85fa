"""No room for a snapshot: what cannot be kept is told, and answers do not depend on it."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.paths import Path
from orchestrator.settings import Settings
from snapshot_store import SnapshotStore, StoreFullError
from tests.fault.conftest import check_answer, check_store, dispatcher, fill_up, function


@pytest.fixture
def on_small_disk(either: Settings, small_disk: pathlib.Path) -> Iterator[Settings]:
    """Settings with an empty store on the small disk."""
    yield replace(either, store=small_disk / "store")


async def test_base_that_does_not_fit_is_an_error(
    on_small_disk: Settings, small_disk: pathlib.Path, nothing_left: pathlib.Path
) -> None:
    ballast = small_disk / "ballast"
    async with dispatcher(on_small_disk) as running:
        fill_up(ballast, but=16384)
        for _ in range(2):
            with pytest.raises(StoreFullError, match=r"no room left .*seuss snapshots delete"):
                await running.invoke(function(0), {})
        with SnapshotStore(on_small_disk.store) as store:
            assert store.list() == []
            assert list((store.root / "incoming").iterdir()) == []
        ballast.unlink()
        check_answer(await running.invoke(function(0), {}), 0)
    check_store(on_small_disk.store)


async def test_function_snapshot_that_does_not_fit_costs_no_answer(
    either: Settings,
    small_disk: pathlib.Path,
    nothing_left: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with dispatcher(either) as running:
        await running.ensure_base()
    store = shutil.copytree(either.store, small_disk / "store")
    ballast = small_disk / "ballast"
    settings = replace(either, store=store)
    async with dispatcher(settings) as running:
        await running.ensure_base()
        fill_up(ballast)
        answer = await running.invoke(function(0), {})
        check_answer(answer, 0)
        assert answer.path is Path.COLD
        await running.flush()
        assert "f0" in caplog.text and "no room left" in caplog.text
        check_store(store)
        check_answer(await running.invoke(function(0), {}), 0)
        check_answer(await running.invoke(function(1), {}), 1)
        await running.flush()
        ballast.unlink()
        check_answer(await running.invoke(function(2), {}), 2)
    async with dispatcher(settings) as running:
        answer = await running.invoke(function(2), {})
        check_answer(answer, 2)
        assert answer.path is Path.WARM
    check_store(store)
