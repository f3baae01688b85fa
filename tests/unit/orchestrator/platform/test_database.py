"""The database's connections: who waits for whom."""

from __future__ import annotations

import threading

import pytest

from orchestrator.errors import DatabaseError
from orchestrator.platform.database import Database

DEADLINE_S = 10.0


def test_a_long_query_holds_no_other_reader_up(database: Database) -> None:
    running, go_on = threading.Event(), threading.Event()

    def hold() -> int:
        running.set()
        return int(go_on.wait(DEADLINE_S))

    with database._reader() as reader:
        reader.create_function("hold", 0, hold)
    told: list[object] = []
    long = threading.Thread(target=lambda: told.extend(database.read("SELECT hold()")))
    long.start()
    try:
        assert running.wait(DEADLINE_S)
        other = threading.Thread(target=lambda: told.extend(database.read("SELECT 'quick'")))
        other.start()
        other.join(DEADLINE_S)
        assert told == [("quick",)]
    finally:
        go_on.set()
        long.join()
    assert told == [("quick",), (1,)]


def test_a_closed_database_is_not_read(database: Database) -> None:
    database.close()
    with pytest.raises(DatabaseError, match="it was closed"):
        database.read("SELECT 1")
