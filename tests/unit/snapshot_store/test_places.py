"""Where the store lies by default."""

from pathlib import Path

import pytest

from snapshot_store import SnapshotStore, default_root


def test_default_root_prefers_the_stores_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("SEUSS_STORE", "/chosen")
    assert default_root() == Path("/chosen")
    monkeypatch.setenv("SEUSS_STORE", "")
    assert default_root() == Path("/data/seuss")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_root() == Path("/home/someone/.local/share/seuss")


def test_store_without_a_root_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEUSS_STORE", str(tmp_path / "chosen"))
    with SnapshotStore() as store:
        assert store.root == tmp_path / "chosen"
        assert store.root.is_dir()
