"""Functions by name: versions, names that cannot be, several processes."""

from __future__ import annotations

import pathlib
import sqlite3
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DatabaseError, DeploymentError, SettingsError, UnknownFunctionError
from orchestrator.function import Function
from orchestrator.platform.database import FILE_NAME, Database
from orchestrator.platform.registry import NAME_RULE, Deployment, Registry
from tests.unit.orchestrator.platform.fakes import echo


def function(name: str, code: bytes) -> Deployment:
    return Deployment(Function(name, "source", code))


def test_what_was_deployed_comes_back(database: Database) -> None:
    reached = ("example.org:80", "example.org:443")
    wanted = Deployment(Function("f", "source", b"x", "go", network=reached), "vm", 2.5, 256)
    entry = Registry(database).put(wanted)
    found = Registry(database).get("f")
    assert found.deployment == wanted and found.entry == entry
    assert (entry.version, entry.size, entry.id) == (1, 1, wanted.function.id)
    assert entry.network == reached and entry.to_json()["network"] == list(reached)
    assert Registry(database).list() == [entry] and Registry(database).names() == ["f"]


def test_a_new_file_that_another_process_makes_too(tmp_path: pathlib.Path) -> None:
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (x)")
    other.execute("BEGIN IMMEDIATE")
    ending = threading.Timer(0.2, other.execute, ("COMMIT",))
    ending.start()
    try:
        with Database(tmp_path) as database:
            assert Registry(database).names() == []
    finally:
        ending.join()
        other.close()


def test_new_code_is_a_new_version_with_another_id(database: Database) -> None:
    registry = Registry(database)
    first = registry.put(function("f", b"1"))
    assert registry.get("f").entry == first
    second = registry.put(function("f", b"2"))
    assert (second.version, second.created) == (2, first.created)
    assert second.id != first.id
    assert registry.get("f").deployment.function.code == b"2"
    with pytest.raises(DeploymentError, match="f is there already"):
        registry.put(function("f", b"3"), replace=False)


def test_deleted_and_deployed_again(database: Database) -> None:
    registry = Registry(database)
    registry.put(function("f", b"1"))
    assert registry.get("f").deployment.function.code == b"1"
    registry.delete("f")
    with pytest.raises(UnknownFunctionError, match="seuss deploy"):
        registry.get("f")
    with pytest.raises(UnknownFunctionError):
        registry.delete("f")
    assert registry.put(function("f", b"2")).version == 1
    assert registry.get("f").deployment.function.code == b"2"


def test_another_process_deploys(database: Database) -> None:
    registry = Registry(database)
    registry.put(function("f", b"1"))
    registry.get("f")
    program = (
        "import pathlib, sys\n"
        "from orchestrator.function import Function\n"
        "from orchestrator.platform.database import Database\n"
        "from orchestrator.platform.registry import Deployment, Registry\n"
        "with Database(pathlib.Path(sys.argv[1])) as database:\n"
        "    Registry(database).put(Deployment(Function('f', 'source', b'2')))\n"
    )
    subprocess.run([sys.executable, "-c", program, database.path.parent], check=True)
    assert registry.get("f").entry.version == 2
    assert registry.get("f").deployment.function.code == b"2"


def test_much_code_is_not_all_kept_in_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.platform.registry.KEPT_BYTES", 25)
    registry = Registry(database)
    for name in "abc":
        registry.put(function(name, name.encode() * 10))
    first = registry.get("a")
    assert registry.get("a") is first
    registry.get("b")
    registry.get("c")
    again = registry.get("a")
    assert again == first and again is not first


@pytest.mark.parametrize("name", ["", " f", "f ", "-f", "../up", "a/b", "f\n", "ä", "x" * 257])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(DeploymentError, match="can be no function's name"):
        echo(name)


@pytest.mark.parametrize("name", ["f", "_", "a b", "a.b@c-d&e", "x" * 256])
def test_names_that_can_be(name: str, database: Database) -> None:
    Registry(database).put(echo(name))
    assert Registry(database).get(name).name == name


@given(st.from_regex(NAME_RULE, fullmatch=True))
def test_no_name_leads_out_of_a_path(name: str) -> None:
    assert "/" not in name and "\0" not in name and not name.startswith(".")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"isolation": "none"}, "the isolation 'none' is not offered"),
        ({"memory_mib": 256}, "Leave the memory out, or choose the isolation vm"),
        ({"isolation": "vm", "memory_mib": 7}, "7 MiB is not offered. Choose one of: 128, 256"),
    ],
)
def test_deployments_that_cannot_be(how: dict[str, Any], told: str) -> None:
    with pytest.raises(DeploymentError, match=told):
        echo(**how)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), 1e9])
def test_limits_that_cannot_be(limit: float) -> None:
    with pytest.raises(SettingsError, match="A timeout of"):
        echo(timeout_s=limit)


def test_file_that_is_no_database(tmp_path: pathlib.Path) -> None:
    (tmp_path / "platform.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(DatabaseError, match=r"platform\.db.*move it away"):
        Database(tmp_path)


def test_a_file_of_the_first_version(tmp_path: pathlib.Path) -> None:
    with Database(tmp_path) as database:
        Registry(database).put(function("old", b"1"))

        def as_it_was(connection: sqlite3.Connection) -> None:
            connection.execute("ALTER TABLE functions DROP COLUMN network")
            connection.execute("PRAGMA user_version = 1")

        database.write(as_it_was)
    for _ in range(2):  # it is of this version by the second time
        with Database(tmp_path) as database:
            registry = Registry(database)
            found = registry.get("old")
            assert (found.entry.version, found.entry.network) == (1, ())
            assert found.deployment == function("old", b"1") and found.entry in registry.list()
            new = Deployment(Function("new", "source", b"2", network=("example.org:443",)))
            registry.put(new)
            assert registry.get("new").deployment == new


def test_file_of_a_later_version(tmp_path: pathlib.Path) -> None:
    with Database(tmp_path) as database:
        database.write(lambda connection: connection.execute("PRAGMA user_version = 99"))
    with pytest.raises(DatabaseError, match="is of version 99"):
        Database(tmp_path)


def test_the_file_is_the_owners_alone(database: Database) -> None:
    assert database.path.stat().st_mode & 0o077 == 0
