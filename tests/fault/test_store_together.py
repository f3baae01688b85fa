"""Several processes use one store at once."""

import os
import select
import time
from functools import partial
from pathlib import Path

from snapshot_store import SnapshotStore, UnknownSnapshotError
from tests.fault.store_steps import ended, forked
from tests.unit.snapshot_store.drafts import base_draft, function_draft

WRITERS = 3
COMMITS = 8
LEAST_COMMITS, MOST_COMMITS = 60, 5000
"""A reader that never had its turn meanwhile is waited for."""


def test_equal_and_different_commits_at_once(tmp_path: Path) -> None:
    root = tmp_path / "store"
    gate, opener = os.pipe()

    def write(own: int) -> None:
        os.close(opener)
        os.read(gate, 1)
        # Clocks that differ, so that equal content committed twice would show as two snapshots.
        time.time = lambda: float(own)
        with SnapshotStore(root) as store:
            base = store.commit(base_draft())
            for number in range(COMMITS):
                shared = store.commit(function_draft(base.id, {4: number + 1}, label="shared"))
                store.commit(function_draft(base.id, {4: number + 1}, label=f"own {own}"))
                assert store.open(shared.id, verify=True).manifest.parent == base.id

    children = [forked(partial(write, own)) for own in range(WRITERS)]
    os.close(gate)
    os.close(opener)
    assert [ended(child) for child in children] == [0] * WRITERS

    with SnapshotStore(root) as store:
        manifests = store.list()
        assert len(manifests) == 1 + COMMITS * (WRITERS + 1)
        assert sum(manifest.label == "shared" for manifest in manifests) == COMMITS
        assert all(store.verify(manifest.id).ok for manifest in manifests)
        assert list((root / "incoming").iterdir()) == []
        rows = [manifest.id for manifest in manifests]
        store.rebuild_catalogue()
        assert [manifest.id for manifest in store.list()] == rows


def test_readers_see_whole_snapshots_while_others_come_and_go(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with SnapshotStore(root) as store:
        base = store.commit(base_draft()).id

    told, tell = os.pipe()

    def come_and_go() -> None:
        with SnapshotStore(root) as store:
            for number in range(MOST_COMMITS):
                made = store.commit(function_draft(base, {4: number + 1})).id
                assert made in {manifest.id for manifest in store.children(base)}
                store.delete(made)
                if number >= LEAST_COMMITS and select.select([told], [], [], 0)[0]:
                    return

    child = forked(come_and_go)
    seen = 0
    with SnapshotStore(root) as store:
        while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            for manifest in store.find(parent=base):
                try:
                    snapshot = store.open(manifest.id, verify=True)
                    assert len(snapshot.merged_pages(verify=True)) == 6
                    seen += 1
                    os.write(tell, b".")
                except UnknownSnapshotError as error:
                    assert error.snapshot_id == manifest.id
        assert ended(child) == 0
        assert [manifest.id for manifest in store.list()] == [base]
    os.close(told)
    os.close(tell)
    assert seen > 0


def test_parent_deleted_while_its_child_is_written(tmp_path: Path) -> None:
    root = tmp_path / "store"
    for _ in range(10):
        with SnapshotStore(root) as store:
            base = store.commit(base_draft()).id

        def write(base: str = base) -> None:
            with SnapshotStore(root) as store:
                try:
                    store.commit(function_draft(base))
                except UnknownSnapshotError as error:
                    assert error.snapshot_id == base

        child = forked(write)
        with SnapshotStore(root) as store:
            store.delete(base, recursive=True)
            assert ended(child) == 0
            # Either the child came first and went with its parent, or it was refused.
            assert store.list() == []
            assert list((root / "incoming").iterdir()) == []
