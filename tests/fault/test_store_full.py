"""A full disk: a clear error, nothing half-made, and a store that still reads and deletes."""

import resource
from pathlib import Path

import pytest

from snapshot_store import SnapshotStore, StoreFullError
from tests.fault.conftest import fill_up
from tests.fault.store_steps import ended, forked
from tests.unit.snapshot_store.drafts import base_draft, function_draft

MANY = {number: number + 1 for number in range(60)}


def test_full_disk_is_told_and_the_store_goes_on(small_disk: Path) -> None:
    root = small_disk / "store"
    fill_up(small_disk / "most", but=1 << 20)
    kept = []
    with SnapshotStore(root) as store:
        base = store.commit(base_draft({1: 1})).id
        with pytest.raises(StoreFullError, match=r"no room left .*seuss snapshots delete"):
            for number in range(20):
                draft = function_draft(base, MANY, label=str(number))
                kept.append(store.commit(draft).id)
        assert kept
        assert list((root / "incoming").iterdir()) == []
        assert {manifest.id for manifest in store.list()} == {base, *kept}
        assert all(store.verify(each).ok for each in kept)

    fill_up(small_disk / "ballast")
    with SnapshotStore(root) as store:
        assert {manifest.id for manifest in store.list()} == {base, *kept}
        with pytest.raises(StoreFullError):
            store.commit(function_draft(base, MANY, label="one too many"))
        assert store.delete(kept[0]) == (kept[0],)
        again = store.commit(function_draft(base, {1: 1}, label="last")).id
    with SnapshotStore(root) as store:
        assert {manifest.id for manifest in store.list()} == {base, again, *kept[1:]}
        assert all(store.verify(manifest.id).ok for manifest in store.list())
        assert list((root / "incoming").iterdir()) == []


@pytest.mark.parametrize("limit", [100, 5000, 100_000])
def test_limit_on_file_size_is_told_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    root = tmp_path / "store"
    with SnapshotStore(root) as store:
        base = store.commit(base_draft({1: 1})).id

    def write_too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with SnapshotStore(root) as store:
            try:
                store.commit(function_draft(base, MANY))
            except StoreFullError:
                assert list((root / "incoming").iterdir()) == []
                assert [manifest.id for manifest in store.list()] == [base]
                return
            raise AssertionError("the commit should not have fitted")

    assert ended(forked(write_too_much)) == 0
    with SnapshotStore(root) as store:
        assert [manifest.id for manifest in store.list()] == [base]
        assert store.verify(base).ok


def test_store_where_no_byte_can_be_written_still_reads_and_deletes(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with SnapshotStore(root) as store:
        base = store.commit(base_draft()).id
        function = store.commit(function_draft(base)).id

    def read_and_delete() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        with SnapshotStore(root) as store:
            assert [manifest.id for manifest in store.children(base)] == [function]
            assert store.verify(function).ok
            store.rebuild_catalogue()
            assert store.delete(function) == (function,)
            assert [manifest.id for manifest in store.list()] == [base]

    assert ended(forked(read_and_delete)) == 0
    with SnapshotStore(root) as store:
        assert [manifest.id for manifest in store.list()] == [base]
