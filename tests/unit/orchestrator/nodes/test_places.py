"""Where running nodes are found."""

from __future__ import annotations

import os
import pathlib

import pytest

from orchestrator.errors import NodeError
from orchestrator.nodes.places import place, places
from orchestrator.runtime_folder import runtime_folder


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The runtime folder of the test, not made yet."""
    monkeypatch.setenv("SEUSS_RUNTIME", str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_node_runs_while_its_lock_is_held(folder: pathlib.Path) -> None:
    where = place("one")
    assert not where.running() and places() == []
    lock = where.take()
    assert where.running() and places() == [where]
    with pytest.raises(NodeError, match="runs already"):
        where.take()
    os.close(lock)
    assert not where.running() and places() == []
    os.close(where.take())


def test_asking_is_in_nobodys_way(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place("one")
    os.close(where.take())
    close = os.close
    taken: list[int] = []

    def take_before(descriptor: int) -> None:
        """What a daemon does that starts just when somebody asks."""
        monkeypatch.setattr(os, "close", close)
        taken.append(where.take())
        close(descriptor)

    monkeypatch.setattr(os, "close", take_before)
    assert not where.running()
    assert where.running()
    close(taken[0])


@pytest.mark.parametrize("name", ["", ".", "../x", "a b", "x" * 33, "-x", "a/b"])
def test_a_name_stays_in_the_folder(folder: pathlib.Path, name: str) -> None:
    with pytest.raises(NodeError, match="no node's name"):
        place(name)


def test_a_folder_too_deep_for_a_socket(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEUSS_RUNTIME", str(tmp_path / ("x" * 100)))
    with pytest.raises(NodeError, match="shorter folder in SEUSS_RUNTIME"):
        place("one")


def test_the_folder_is_private(folder: pathlib.Path) -> None:
    assert runtime_folder() == folder
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o755)
    with pytest.raises(NodeError, match="not this user's alone"):
        runtime_folder()


def test_the_folder_can_be_made(folder: pathlib.Path) -> None:
    folder.write_text("in the way")
    with pytest.raises(NodeError, match="cannot be made"):
        runtime_folder()
