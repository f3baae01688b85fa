"""Guests, and what every test of a fault must leave as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from orchestrator.anticipation import Anticipation
from orchestrator.function import Function
from orchestrator.invocation import Invocation
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
    """A store with the real image's base for contexts, not to be changed."""
    store = tmp_path_factory.mktemp("bases") / "store"

    async def take() -> None:
        async with UcDispatcher(replace(real_image(store), isolation="uc")) as contexts:
            await contexts.ensure_base()

    asyncio.run(take())
    return store


@pytest.fixture
def own_store(bases: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A store of the test's own that has the base."""
    return shutil.copytree(bases, tmp_path / "store")


@pytest.fixture(params=["vm", "uc"])
def either(
    request: pytest.FixtureRequest, small_guests: pathlib.Path, tmp_path: pathlib.Path
) -> Settings:
    """Settings of each isolation: machines run the guest that plays an interpreter, which is
    quick; contexts the real image, and their base is in the store."""
    if request.param == "uc":
        return replace(real_image(request.getfixturevalue("own_store")), isolation="uc")
    image = small_guests / "frame-guest.elf"
    return replace(real_image(tmp_path / "store"), image=image, memory_mib=64)


def dispatcher(settings: Settings) -> UcDispatcher | VmDispatcher:
    """Return what answers invocations with these settings."""
    return UcDispatcher(settings) if settings.isolation == "uc" else VmDispatcher(settings)


def function(number: int) -> Function:
    """A function that returns its number."""
    return Function(f"f{number}", "source", f"def main(args): return {{'n': {number}}}".encode())


def check_answer(answer: Invocation, number: int) -> None:
    """The answer is `function(number)`'s, from a state where nothing else had run.

    The guest that plays an interpreter tells how often it has loaded and run.
    """
    assert answer.result is not None, answer.error
    if answer.isolation == "uc":
        assert answer.result == {"n": number}
    else:
        assert (answer.result["loads"], answer.result["calls"]) == (1, 1)


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_up(ballast: pathlib.Path, but: int = 0) -> None:
    """Write until not one byte more fits, then give so many back."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    size = 1 << 20
    try:
        while size:
            try:
                os.write(descriptor, bytes(size))
            except OSError:
                size //= 2
        if but:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - but)
    finally:
        os.close(descriptor)


def real_image(store: pathlib.Path) -> Settings:
    """The real image, with bases that are soon taken, and nothing made ahead."""
    return Settings(
        image=BUILD / "ebbrt-python.elf",
        store=store,
        accelerator="tcg",
        memory_mib=256,
        pool_size=0,
        ao=Anticipation.NONE,
        timeout_s=20.0,
    )


def check_store(store: pathlib.Path) -> None:
    """Every snapshot is whole, and none is half-written."""
    with SnapshotStore(store) as opened:
        assert opened.list()
        assert all(opened.verify(manifest.id).ok for manifest in opened.list())
        assert list((store / "incoming").iterdir()) == []
