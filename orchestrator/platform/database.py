"""The platform's SQLite file in the store's folder; used by several processes at once."""

from __future__ import annotations

import pathlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from orchestrator.errors import DatabaseError

FILE_NAME: Final = "platform.db"
VERSION: Final = 2
BUSY_S: Final = 10.0
"""How long a write waits for another process's."""
BUSY_PAUSE_S: Final = 0.02

_SCHEMA: Final = (
    "CREATE TABLE functions (serial INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, "
    "version INTEGER NOT NULL, id TEXT NOT NULL, runtime TEXT NOT NULL, format TEXT NOT NULL, "
    "main TEXT NOT NULL, isolation TEXT NOT NULL, timeout_s REAL NOT NULL, memory_mib INTEGER, "
    "size INTEGER NOT NULL, created REAL NOT NULL, changed REAL NOT NULL, code BLOB NOT NULL, "
    "network TEXT NOT NULL)",
    "CREATE TABLE invocations (serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, "
    "time REAL NOT NULL, function TEXT NOT NULL, size INTEGER NOT NULL, record TEXT NOT NULL)",
    "CREATE INDEX by_function ON invocations (function, serial)",
    "CREATE TABLE uses (snapshot TEXT PRIMARY KEY, count REAL NOT NULL, last REAL NOT NULL) "
    "WITHOUT ROWID",
)
_LATER: Final = ("ALTER TABLE functions ADD COLUMN network TEXT NOT NULL DEFAULT ''",)
"""What makes a file of version 1 one of version 2, and so on."""

Rows = list[tuple[Any, ...]]
Result = TypeVar("Result")


class Database:
    """Connections to the file, made when missing; a context manager, usable by several threads.

    Whoever reads has a connection alone, so that neither a writer that waits for the disk nor a
    long query holds a reader up.

    Args:
        folder: the store's.

    A file of an earlier version is brought up to this one.

    Raises:
        DatabaseError: the file cannot be made, or is of a later version.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / FILE_NAME
        self._writing = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        """Connections that nobody reads by now."""
        self._closed = False
        with self._reported("open"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._writer = self._connect()
            try:
                self._prepare()
                self._readers.append(self._connect())
            except BaseException:
                self._writer.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; who still reads does so at the end of that."""
        self._closed = True
        while self._readers:
            self._readers.pop().close()
        with self._writing:
            self._writer.close()

    def read(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> Rows:
        """Return the rows of a query. Raises DatabaseError."""
        with self._reported("read"), self._reader() as reader:
            return reader.execute(query, values).fetchall()

    def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work` in one transaction. Raises DatabaseError, and what `work` raises."""
        with self._reported("write"), self._writing, _transaction(self._writer):
            return work(self._writer)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; there are as many as ever read at the same time."""
        if self._closed:
            raise sqlite3.ProgrammingError("it was closed")
        try:
            reader = self._readers.pop()  # one step, whatever other threads do
        except IndexError:
            reader = self._connect()
        try:
            yield reader
        finally:
            self._readers.append(reader)
            if self._closed:
                self.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            _write_ahead(connection)
            # What is lost when the machine's power fails is the last moment's, never the rest.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        self.path.chmod(0o600)
        with _transaction(self._writer):
            (version,) = self._writer.execute("PRAGMA user_version").fetchone()
            if not 0 <= version <= VERSION:
                raise DatabaseError(
                    f"{self.path} is of version {version}, this program writes {VERSION}. Use the "
                    "program that made it, or move the file away and deploy again."
                )
            for statement in _SCHEMA if version == 0 else _LATER[version - 1 :]:
                self._writer.execute(statement)
            self._writer.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _reported(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(
                f"Cannot {doing} {self.path}: {error}. Check its folder's space and owner; if the "
                "file is damaged, move it away and deploy the functions again."
            ) from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have readers and a writer not wait for each other."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Of two processes that open a new file one is refused at once, whatever the timeout.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(BUSY_PAUSE_S)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
