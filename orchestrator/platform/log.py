"""What invocations printed and how they ended, kept on disk within bounds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.errors import UnknownInvocationError
from orchestrator.invocation import Invocation
from orchestrator.platform import registry
from orchestrator.platform.database import Database
from orchestrator.settings import Isolation

MOST_PER_FUNCTION: Final = 1000
MOST_IN_ALL: Final = 20_000
MOST_BYTES: Final = 64 << 20
"""Records of the log, and bytes of their text; the oldest go first."""
OUTPUT_KEPT: Final = 16 << 10
"""Letters kept of each of stdout, stderr, traceback and message; the caller got them all."""
RESULT_KEPT: Final = 64 << 10
"""Letters of a result's JSON that is kept; a longer one is not."""

_BRIEF: Final = (
    "json_object('id', id, 'time', time, 'function', function, 'version', record ->> 'version', "
    "'isolation', record ->> 'isolation', 'path', record ->> 'path', "
    "'latency_ms', record ->> 'latency_ms', 'error_kind', record ->> '$.error.kind')"
)
"""An entry without what a function said, in SQL."""


@dataclass(frozen=True)
class Entry:
    """One invocation: its id, when it came (Unix seconds), of which function, how it ended."""

    id: str
    time: float
    function: str
    version: int
    isolation: Isolation
    invocation: Invocation

    @classmethod
    def of(cls, id: str, time: float, function: registry.Entry, invocation: Invocation) -> Entry:
        """Return the entry of a deployed function's invocation."""
        name, version, isolation = function.name, function.version, function.isolation
        return cls(id, time, name, version, isolation, invocation)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, with all of the invocation."""
        return {
            "id": self.id,
            "time": self.time,
            "function": self.function,
            "version": self.version,
        } | (self.invocation.to_json() | {"isolation": self.isolation})


class Log:
    """The log in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, oldest first, and drop what is too much. Raises DatabaseError."""
        rows = []
        for entry in entries:
            record = json.dumps(_shortened(entry.to_json()))
            rows.append((entry.id, entry.time, entry.function, len(record), record))

        def append(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO invocations (id, time, function, size, record) VALUES (?, ?, ?, ?, ?)",
                rows,
            )
            for function in {entry.function for entry in entries}:
                _keep_newest(connection, function)
            _keep_within(connection)

        self._database.write(append)

    def get(self, id: str) -> dict[str, Any]:
        """Return one invocation as JSON has it. Raises UnknownInvocationError, DatabaseError."""
        rows = self._database.read("SELECT record FROM invocations WHERE id = ?", (id,))
        if not rows:
            raise UnknownInvocationError(id)
        record: dict[str, Any] = json.loads(rows[0][0])
        return record

    def list(
        self, function: str | None = None, limit: int = 100, after: int = 0
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return the last `limit` invocations, oldest first, each with its serial number.

        Args:
            function: only this one's.
            limit: how many at most.
            after: only those with a higher serial number.

        Raises:
            DatabaseError
        """
        only = "" if function is None else "AND function = ?"
        values: tuple[object, ...] = (after,) if function is None else (after, function)
        rows = self._database.read(
            f"SELECT serial, record FROM invocations WHERE serial > ? {only} "
            "ORDER BY serial DESC LIMIT ?",
            (*values, limit),
        )
        return [(serial, json.loads(record)) for serial, record in reversed(rows)]

    def listed(
        self,
        function: str | None = None,
        limit: int = 100,
        after: int = 0,
        *,
        brief: bool = False,
        most: int = MOST_BYTES,
    ) -> str:
        """Return the same as a JSON array, each with its `serial` as a member.

        Args:
            function: only this one's.
            limit: how many at most.
            after: only those with a higher serial number.
            brief: leave results and texts out.
            most: characters of records at most; the oldest are left out, never the newest.

        Raises:
            DatabaseError
        """
        only = "" if function is None else "AND function = :function"
        record = _BRIEF if brief else "record"
        rows = self._database.read(
            # Made into text here, where other threads are not held up by it.
            "SELECT serial, record FROM (SELECT serial, record, sum(length(record)) OVER "
            f"(ORDER BY serial DESC) AS size FROM (SELECT serial, {record} AS record FROM "
            f"invocations WHERE serial > :after {only} ORDER BY serial DESC LIMIT :limit)) "
            "WHERE size - length(record) < :most ORDER BY serial",
            {"function": function, "after": after, "limit": limit, "most": most},
        )
        return "[" + ",".join(f'{{"serial":{serial},{text[1:]}' for serial, text in rows) + "]"


def _keep_newest(connection: sqlite3.Connection, function: str) -> None:
    connection.execute(
        "DELETE FROM invocations WHERE function = ?1 AND serial <= (SELECT serial FROM invocations "
        "WHERE function = ?1 ORDER BY serial DESC LIMIT 1 OFFSET ?2)",
        (function, MOST_PER_FUNCTION),
    )


def _keep_within(connection: sqlite3.Connection) -> None:
    connection.execute(
        "DELETE FROM invocations WHERE serial <= (SELECT serial FROM invocations "
        "ORDER BY serial DESC LIMIT 1 OFFSET ?)",
        (MOST_IN_ALL,),
    )
    (total,) = connection.execute("SELECT sum(size) FROM invocations").fetchone()
    surplus = (total or 0) - MOST_BYTES
    if surplus <= 0:
        return
    gone = 0
    for serial, size in connection.execute("SELECT serial, size FROM invocations ORDER BY serial"):
        gone += size
        if gone >= surplus:
            connection.execute("DELETE FROM invocations WHERE serial <= ?", (serial,))
            return


def _shortened(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's JSON with its texts cut to what is kept."""
    kept = dict(told)
    for stream in ("stdout", "stderr"):
        if len(kept[stream]) > OUTPUT_KEPT:
            kept[stream] = kept[stream][:OUTPUT_KEPT]
            kept[f"{stream}_truncated"] = True
    if "error" in kept:
        kept["error"] = {
            name: text if text is None else text[:OUTPUT_KEPT]
            for name, text in kept["error"].items()
        }
    elif len(json.dumps(kept["result"])) > RESULT_KEPT:
        kept["result"] = None
        kept["result_truncated"] = True
    return kept
