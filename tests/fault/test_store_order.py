"""What is renamed into the store has been seen to the disk before, and the rename after."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshot_store import SnapshotStore
from tests.unit.snapshot_store.drafts import base_draft, function_draft


def test_nothing_is_published_before_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "store"
    events: list[tuple[str, str]] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **options: Any) -> Any:
            descriptor = Path("/proc/self/fd") / str(args[0])
            where = args[0] if name == "rename" else descriptor.readlink()
            events.append((name, str(where)))
            return call(*args, **options)

        return noted

    with SnapshotStore(root) as store:
        base = store.commit(base_draft())
        for name in ("write", "fsync", "rename"):
            monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
        store.commit(function_draft(base.id))
        monkeypatch.undo()

    (renamed,) = [index for index, (name, _) in enumerate(events) if name == "rename"]
    aside = events[renamed][1]
    before, after = events[:renamed], events[renamed + 1 :]
    files = {f"{aside}/{name}" for name in ("manifest.json", "pages.idx", "pages.bin", "state.bin")}
    assert {where for name, where in before if name == "write"} == files
    for file in files:
        assert [name for name, where in before if where == file][-1] == "fsync"
    assert before[-1] == ("fsync", aside)
    assert ("fsync", str(root / "snapshots")) in after
    assert not any(name == "write" for name, _ in after)
