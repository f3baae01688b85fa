"""Snapshots cut short or changed on the disk, file by file: what they held is made anew."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable

import pytest

from orchestrator.paths import Path
from orchestrator.settings import Settings
from snapshot_store import Depth, Level, SnapshotStore
from tests.fault.conftest import check_answer, dispatcher, function

FILES = ("manifest.json", "pages.idx", "pages.bin", "state.bin")


def flip(path: pathlib.Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def empty(path: pathlib.Path) -> None:
    """Leave nothing of the content."""
    path.write_bytes(b"")


def truncate(path: pathlib.Path) -> None:
    """Cut the second half off."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[pathlib.Path], None]] = {
    "flip": flip,
    "truncate": truncate,
    "empty": empty,
    "remove": pathlib.Path.unlink,
}
KINDS = [(file, damage) for file in FILES for damage in DAMAGES]


def spoil(store: pathlib.Path, snapshot: str, file: str, damage: str) -> None:
    """Do a damage to a file of a snapshot."""
    path = store / "snapshots" / snapshot / file
    path.chmod(0o600)
    DAMAGES[damage](path)


def snapshots(settings: Settings, level: Level) -> dict[str | None, str]:
    """Return the ids of a level's snapshots by function."""
    with SnapshotStore(settings.store) as store:
        found = store.find(depth=Depth(settings.isolation), level=level)
    return {manifest.function: manifest.id for manifest in found}


async def test_damaged_function_snapshots_are_made_anew(
    either: Settings, nothing_left: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = len(KINDS)
    async with dispatcher(either) as running:
        for number in range(whole + 1):
            check_answer(await running.invoke(function(number), {}, Path.COLD), number)
    stored = snapshots(either, Level.FUNCTION)
    for number, (file, damage) in enumerate(KINDS):
        spoil(either.store, stored[function(number).id], file, damage)
    # The newest counts, and the store knows seconds only.
    await asyncio.sleep(1)
    caplog.clear()
    async with dispatcher(either) as running:
        assert (await running.invoke(function(whole), {})).path is Path.WARM
        for number, kind in enumerate(KINDS):
            answer = await running.invoke(function(number), {})
            check_answer(answer, number)
            assert answer.path is Path.COLD, kind
            # It costs no answer, so it is told in the log, by name.
            assert stored[function(number).id] in caplog.text, kind
        check_answer(await running.invoke(function(whole), {}, Path.WARM), whole)
    async with dispatcher(either) as running:
        for number in range(whole + 1):
            answer = await running.invoke(function(number), {})
            check_answer(answer, number)
            assert answer.path is Path.WARM


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("manifest.json", "truncate"),
        ("pages.idx", "flip"),
        ("pages.bin", "flip"),
        ("state.bin", "remove"),
    ],
)
async def test_damaged_base_is_taken_anew(
    either: Settings,
    nothing_left: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    damage: str,
) -> None:
    async with dispatcher(either) as running:
        await running.ensure_base()
    (base,) = snapshots(either, Level.BASE).values()
    spoil(either.store, base, file, damage)
    for path in (Path.COLD, Path.WARM):
        async with dispatcher(either) as running:
            answer = await running.invoke(function(0), {})
            check_answer(answer, 0)
            assert answer.path is path
    assert base in caplog.text
