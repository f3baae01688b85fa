"""The catalogue: an SQLite index over the snapshots' manifests.

The directories are the truth and the catalogue is a cache of them, so nothing that befalls it
matters: a row that no directory has is dropped, a directory without a row is read again, and a
file that SQLite finds fault with is replaced. Where no file can be written (a full disk), the
catalogue lives in memory.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, TypeVar

from snapshot_store.durable import locked, remove_path
from snapshot_store.errors import CorruptSnapshotError, MismatchError
from snapshot_store.manifest import content_digest, encode, parse
from snapshot_store.model import FORMAT_VERSION, Manifest

_COLUMNS: Final = (
    "id", "created", "depth", "level", "parent", "image", "runtime", "function", "key", "ao",
    "content",
)  # fmt: skip
_SCHEMA: Final = (
    "CREATE TABLE snapshots (id TEXT PRIMARY KEY, created INTEGER, depth TEXT, level TEXT, "
    "parent TEXT, image TEXT, runtime TEXT, function TEXT, key TEXT, ao INTEGER, content TEXT, "
    "manifest BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX by_fit ON snapshots (function, level, image, key, depth, runtime, ao, created)",
    "CREATE INDEX by_parent ON snapshots (parent)",
    "CREATE INDEX by_content ON snapshots (content)",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)
_INSERT: Final = (
    f"INSERT OR REPLACE INTO snapshots ({', '.join(_COLUMNS)}, manifest) "
    f"VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"
)
# A message of SQLite may quote what it found in a spoilt file, which need not be UTF-8.
_FAULTS: Final = (sqlite3.Error, UnicodeError)

Result = TypeVar("Result")
Loader = Callable[[], Iterable[Manifest]]


class Catalogue:
    """One process's connection to the catalogue; may be used by several threads.

    Args:
        path: the SQLite file.
        load: returns the manifests of all snapshots, to fill a catalogue anew.
    """

    def __init__(self, path: Path, load: Loader) -> None:
        self._path = path
        self._load = load
        self._guard = threading.RLock()
        self._known: dict[str, Manifest] = {}
        self._connection: sqlite3.Connection | None = None
        self._open()

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def rebuild(self) -> None:
        """Throw the catalogue away and fill a new one from the directories."""
        with self._guard:
            self._known.clear()
            self._replace()

    def ids(self) -> set[str]:
        """The ids of all rows."""
        return self._use(
            lambda connection: {row[0] for row in connection.execute("SELECT id FROM snapshots")}
        )

    def add(self, manifests: Iterable[Manifest]) -> None:
        """Add a row for each manifest; one that is there already is replaced."""
        rows = [_row(manifest) for manifest in manifests]
        self._use(lambda connection: connection.executemany(_INSERT, rows))

    def remove(self, ids: Iterable[str]) -> None:
        """Remove the rows of these ids; ids without a row are passed over."""
        gone = [(snapshot_id,) for snapshot_id in ids]
        for (snapshot_id,) in gone:
            self._known.pop(snapshot_id, None)
        self._use(
            lambda connection: connection.executemany("DELETE FROM snapshots WHERE id = ?", gone)
        )

    def select(self, equal: Mapping[str, str | int]) -> list[Manifest]:
        """Return the manifests whose columns have these values, oldest first."""
        where = " AND ".join(f"{column} = ?" for column in equal) or "1"
        query = f"SELECT id, manifest FROM snapshots WHERE {where} ORDER BY created, id"
        values = tuple(equal.values())
        return self._use(
            lambda connection: [self._read(*row) for row in connection.execute(query, values)]
        )

    def _read(self, snapshot_id: str, raw: bytes) -> Manifest:
        manifest = self._known.get(snapshot_id)
        if manifest is None:
            try:
                manifest = self._known[snapshot_id] = parse(raw, snapshot_id)
            except (CorruptSnapshotError, MismatchError, TypeError, AttributeError):
                raise sqlite3.DatabaseError("a row of the catalogue is damaged") from None
        return manifest

    def _use(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work` in one transaction; if the catalogue fails, on a new one."""
        with self._guard:
            connection = self._connection or self._open()
            try:
                return _in_transaction(connection, work)
            except _FAULTS:
                return _in_transaction(self._replace(), work)

    def _open(self) -> sqlite3.Connection:
        # Under the lock, or two that start at once would each replace the other's new file.
        with self._alone():
            try:
                self._connection = _open_sound(self._path)
            except (*_FAULTS, OSError):
                return self._make()
            return self._connection

    def _replace(self) -> sqlite3.Connection:
        self.close()
        with self._alone():
            return self._make()

    def _make(self) -> sqlite3.Connection:
        manifests = list(self._load())
        try:
            self._connection = _filled(_make_file(self._path), manifests)
        except (*_FAULTS, OSError):
            self._connection = _filled(_connect(":memory:"), manifests)
        return self._connection

    def _alone(self) -> AbstractContextManager[None]:
        return locked(self._path.with_suffix(".lock"), exclusive=True)


def _row(manifest: Manifest) -> tuple[object, ...]:
    columns = {**vars(manifest), "content": content_digest(manifest)}
    return (*(columns[name] for name in _COLUMNS), encode(manifest))


def _in_transaction(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Result]
) -> Result:
    # Leaving the block commits, or rolls back on an error.
    with connection:
        return work(connection)


def _connect(where: str) -> sqlite3.Connection:
    # Threads take turns under the catalogue's own guard.
    return sqlite3.connect(where, timeout=30, check_same_thread=False)


def _open_sound(path: Path) -> sqlite3.Connection:
    """Open an existing catalogue of our version in which SQLite finds no fault."""
    if not path.is_file():
        raise sqlite3.DatabaseError("there is no catalogue")
    connection = _connect(str(path))
    try:
        _set_up(connection)
        version = connection.execute("PRAGMA user_version").fetchone()
        findings = connection.execute("PRAGMA integrity_check").fetchall()
        if version != (FORMAT_VERSION,) or findings != [("ok",)]:
            raise sqlite3.DatabaseError("the catalogue is damaged or of another version")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> sqlite3.Connection:
    for suffix in ("", "-wal", "-shm", "-journal"):
        remove_path(path.with_name(path.name + suffix))
    connection = _connect(str(path))
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # The directories are synced; a row that is lost with the power is made again.
    connection.execute("PRAGMA synchronous = NORMAL")


def _filled(connection: sqlite3.Connection, manifests: Iterable[Manifest]) -> sqlite3.Connection:
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.executemany(_INSERT, [_row(manifest) for manifest in manifests])
    except BaseException:
        connection.close()
        raise
    return connection
