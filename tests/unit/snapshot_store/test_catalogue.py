"""The catalogue is a cache: whatever befalls it, the answers stay those of the directories."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot_store import Level, SnapshotStore
from tests.unit.snapshot_store.drafts import FUNCTION, base_draft, function_draft


def ids(store: SnapshotStore) -> list[str]:
    return [manifest.id for manifest in store.list()]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a closed store with a base and two functions; its catalogue may be spoilt."""
    root = tmp_path_factory.mktemp("catalogue") / "store"
    with SnapshotStore(root) as store:
        base = store.commit(base_draft())
        store.commit(function_draft(base.id))
        store.commit(function_draft(base.id, function="f" * 64))
    shutil.copy(root / "catalogue.sqlite", root / "good")
    return root


def answers(root: Path) -> list[object]:
    with SnapshotStore(root) as store:
        return [
            store.list(),
            store.find(level=Level.BASE),
            store.find(function=FUNCTION),
            store.tree(),
        ]


@settings(max_examples=150)
@given(st.data())
def test_spoilt_catalogue_changes_no_answer(filled: Path, data: st.DataObject) -> None:
    catalogue, good = filled / "catalogue.sqlite", (filled / "good").read_bytes()
    catalogue.write_bytes(good)
    expected = answers(filled)
    spoilt = bytearray(good)
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=5)):
        spoilt[place] ^= data.draw(st.integers(1, 255))
    catalogue.write_bytes(spoilt[: data.draw(st.sampled_from([None, 0, 10, 5000]))])
    assert answers(filled) == expected


@pytest.mark.parametrize("value", [b"base", FUNCTION.encode()])
def test_spoilt_value_of_a_row_changes_no_answer(filled: Path, value: bytes) -> None:
    catalogue, good = filled / "catalogue.sqlite", (filled / "good").read_bytes()
    catalogue.write_bytes(good)
    expected = answers(filled)
    places = [match.start() for match in re.finditer(value, good)]
    assert len(places) > 2
    for place in places:
        spoilt = bytearray(good)
        spoilt[place] ^= 1
        catalogue.write_bytes(spoilt)
        assert answers(filled) == expected


def test_deleted_catalogue_is_made_again(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    (store.root / "catalogue.sqlite").unlink()
    with SnapshotStore(store.root) as other:
        assert ids(other) == [base.id]
        function = other.commit(function_draft(base.id))
    # The first store still holds the deleted file, and sees the truth all the same.
    assert set(ids(store)) == {base.id, function.id}


def test_catalogue_spoilt_in_use_is_replaced(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    for suffix in ("", "-wal", "-shm"):
        path = store.root / f"catalogue.sqlite{suffix}"
        if path.exists():
            path.write_bytes(b"no database" * 1000)
    assert ids(store) == [base.id]
    function = store.commit(function_draft(base.id))
    with SnapshotStore(store.root) as other:
        assert set(ids(other)) == {base.id, function.id}


def test_rebuilding_reads_the_directories(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    with sqlite3.connect(store.root / "catalogue.sqlite") as connection:
        connection.execute("UPDATE snapshots SET level = 'function', image = ''")
    assert store.find(level=Level.BASE) == []
    store.rebuild_catalogue()
    assert [manifest.id for manifest in store.find(level=Level.BASE)] == [base.id]


def test_rows_and_directories_are_reconciled(store: SnapshotStore, tmp_path: Path) -> None:
    base = store.commit(base_draft())
    away = base.path.rename(tmp_path / "away")
    assert ids(store) == []
    with sqlite3.connect(store.root / "catalogue.sqlite") as connection:
        assert connection.execute("SELECT id FROM snapshots").fetchall() == []
    away.rename(base.path)
    assert ids(store) == [base.id]


def test_foreign_names_are_left_alone(store: SnapshotStore) -> None:
    foreign = store.root / "snapshots" / "lost+found"
    foreign.mkdir()
    store.commit(base_draft())
    store.rebuild_catalogue()
    assert len(store.list()) == 1
    assert store.damaged() == {}
    assert foreign.is_dir()


def test_catalogue_writes_ahead(store: SnapshotStore) -> None:
    with sqlite3.connect(store.root / "catalogue.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_directory_in_the_catalogues_place_is_removed(tmp_path: Path) -> None:
    (tmp_path / "store" / "catalogue.sqlite" / "inside").mkdir(parents=True)
    with SnapshotStore(tmp_path / "store") as store:
        base = store.commit(base_draft())
        assert ids(store) == [base.id]
