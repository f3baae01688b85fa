"""Guests, and what every test of a fault must leave as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store import SnapshotStore
from tests.integration.conftest import BUILD
from tests.integration.conftest import small_guests as small_guests
from tests.integration.guests import holdings

SETTLE_TURNS = 20


def descriptors() -> list[tuple[str, str]]:
    """What this process has open: number and target."""
    found = []
    for entry in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append((entry.name, str(entry.readlink())))
    return found


@pytest.fixture
async def nothing_left(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[pathlib.Path]:
    """Give a folder for what runs now; afterwards descriptors, mapped memory, children and that
    folder must be as they were."""
    runtime = tmp_path / "runtime"
    monkeypatch.setenv("SEUSS_RUNTIME", str(runtime))
    before = holdings()
    open_before = descriptors()
    yield runtime
    # Errors that were logged refer to all that was open when they were raised.
    caplog.get_records("call").clear()
    # asyncio closes the pipes of ended processes when it hears of their end.
    for _ in range(SETTLE_TURNS):
        if holdings() == before:
            break
        await asyncio.sleep(0.01)
    assert holdings() == before, f"left open: {sorted(set(descriptors()) - set(open_before))}"
    # A lock's file stays: it is empty, and nobody holds it.
    assert [path for path in runtime.rglob("*") if path.is_file() and path.stat().st_size] == []


@pytest.fixture
def chance() -> random.Random:
    """Draws what a test leaves to chance; pytest shows the seed of a test that fails."""
    seed = int(os.environ.get("SEUSS_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SEUSS_TEST_SEED={seed} repeats this")
    return random.Random(seed)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A store with the real image's bases for both isolations, not to be changed."""
    store = tmp_path_factory.mktemp("bases") / "store"

    async def take() -> None:
        shared = real_image(store)
        async with UcDispatcher(replace(shared, isolation="uc")) as contexts:
            await contexts.ensure_base()
        async with VmDispatcher(shared) as machines:
            await machines.ensure_base()

    asyncio.run(take())
    return store


@pytest.fixture
def own_store(bases: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A store of the test's own that has the bases."""
    return shutil.copytree(bases, tmp_path / "store")


def real_image(store: pathlib.Path) -> Settings:
    """The real image, with bases that are soon taken, and nothing made ahead."""
    return Settings(
        image=BUILD / "ebbrt-python.elf",
        store=store,
        accelerator="tcg",
        memory_mib=256,
        pool_size=0,
        ao=False,
        timeout_s=20.0,
    )


def check_store(store: pathlib.Path) -> None:
    """Every snapshot is whole, and none is half-written."""
    with SnapshotStore(store) as opened:
        assert opened.list()
        assert all(opened.verify(manifest.id).ok for manifest in opened.list())
        assert list((store / "incoming").iterdir()) == []
