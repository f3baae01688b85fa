"""One store, two images: each uses its own snapshots, and leaves the other's alone."""

from __future__ import annotations

import pathlib
import shutil
from dataclasses import replace

from orchestrator.paths import Path
from orchestrator.settings import Settings
from snapshot_store import SnapshotStore
from tests.fault.conftest import check_answer, check_store, dispatcher, function


async def test_store_from_another_image(
    either: Settings, tmp_path: pathlib.Path, nothing_left: pathlib.Path
) -> None:
    async with dispatcher(either) as running:
        check_answer(await running.invoke(function(0), {}), 0)
    rebuilt = replace(
        either, image=pathlib.Path(shutil.copy(either.image, tmp_path / "rebuilt.elf"))
    )
    with rebuilt.image.open("ab") as image:
        image.write(b"rebuilt")
    with SnapshotStore(either.store) as store:
        before = {manifest.id: manifest.image for manifest in store.list()}

    for path in (Path.COLD, Path.WARM):
        async with dispatcher(rebuilt) as running:
            answer = await running.invoke(function(0), {})
            check_answer(answer, 0)
            # Not from the other image's snapshot, though function and arguments are the same.
            assert answer.path is path and answer.snapshot not in before
    async with dispatcher(either) as running:
        answer = await running.invoke(function(0), {})
        check_answer(answer, 0)
        assert answer.path is Path.WARM and answer.snapshot in before

    check_store(either.store)
    with SnapshotStore(either.store) as store:
        after = {manifest.id: manifest.image for manifest in store.list()}
    assert before.items() < after.items() and len(set(after.values())) == 2
