"""Functions deployed by name, kept on disk."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self, cast

from orchestrator.errors import AlreadyDeployedError, DeploymentError, UnknownFunctionError
from orchestrator.function import Format, Function
from orchestrator.platform.database import Database
from orchestrator.settings import Isolation, Settings, checked_timeout

NAME_RULE: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_@ .&-]{0,254}[A-Za-z0-9_@.&-])?")
"""An action's name in OpenWhisk: 256 letters, digits and a few signs; no blank at its ends."""
ISOLATIONS: Final[tuple[Isolation, ...]] = ("uc", "vm")
"""Those of the runtimes; `seuss micro` runs Rust by language isolation."""
MEMORY_SIZES_MIB: Final = (128, 256, 512, 1024)
"""What one invocation's machine may have: each size in use has a base snapshot and a pool."""

KEPT_BYTES: Final = 64 << 20
"""Bytes of code kept in memory."""


@dataclass(frozen=True)
class Deployment:
    """How a function is to be run. Raises DeploymentError or SettingsError for what cannot be."""

    function: Function
    isolation: Isolation = "uc"
    timeout_s: float = Settings.timeout_s
    """Seconds that the import and the run may take, each."""
    memory_mib: int | None = None
    """Memory of its machine; None is the platform's choice, and all there is with isolation uc."""

    def __post_init__(self) -> None:
        name = self.function.name
        if not NAME_RULE.fullmatch(name):
            raise DeploymentError(
                f"{name[:80]!r} can be no function's name. Use at most 256 letters, digits, _ @ . "
                "& - and blanks, a letter, digit or _ first and no blank last."
            )
        if self.isolation not in ISOLATIONS:
            raise DeploymentError(
                f"{name}: the isolation {self.isolation!r} is not offered. "
                f"Choose one of: {', '.join(ISOLATIONS)}."
            )
        if self.memory_mib is not None and self.isolation != "vm":
            raise DeploymentError(
                f"{name}: contexts of one node share its memory. Leave the memory out, or choose "
                "the isolation vm."
            )
        if self.memory_mib is not None and self.memory_mib not in MEMORY_SIZES_MIB:
            raise DeploymentError(
                f"{name}: a memory of {self.memory_mib} MiB is not offered. "
                f"Choose one of: {', '.join(map(str, MEMORY_SIZES_MIB))}."
            )
        checked_timeout(self.timeout_s)


@dataclass(frozen=True)
class Entry:
    """What the registry tells of a function; times are Unix seconds, `version` counts from 1."""

    name: str
    version: int
    id: str
    """The hash that its snapshots are kept by."""
    runtime: str
    format: str
    main: str
    isolation: Isolation
    timeout_s: float
    memory_mib: int | None
    size: int
    """Bytes of code."""
    created: float
    changed: float
    network: tuple[str, ...] = ()
    """Places that it may reach, each HOST:PORT."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self) | {"network": list(self.network)}

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """Return what a row of the database holds."""
        told = dict(zip(_FIELDS, row, strict=True))
        return cls(**told | {"network": tuple(told["network"].split())})

    def to_row(self) -> tuple[Any, ...]:
        """Return it as a row of the database."""
        told = {field: getattr(self, field) for field in _FIELDS}
        return tuple((told | {"network": " ".join(self.network)}).values())


@dataclass(frozen=True)
class Deployed:
    """A function as it is deployed: how to run it, and what the registry tells of it."""

    deployment: Deployment
    entry: Entry

    @property
    def name(self) -> str:
        """The function's name."""
        return self.entry.name


# Named out here, because inside the class `list` is a method.
Names = list[str]
_FIELDS: Final = tuple(field.name for field in fields(Entry))


class Registry:
    """The named functions in a database. What another process deploys is seen by the next call."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[int, Deployed] = OrderedDict()
        """Functions used last by serial, so that hash and payload are made once."""
        self._kept_bytes = 0

    def put(self, deployment: Deployment, replace: bool = True) -> Entry:
        """Deploy a function under its name, in place of the one there, whose version it follows.

        Raises AlreadyDeployedError when there is one and `replace` is False, DatabaseError.
        """
        function = deployment.function
        now = time.time()

        def put(connection: sqlite3.Connection) -> Entry:
            row = connection.execute(
                "SELECT version, created FROM functions WHERE name = ?", (function.name,)
            ).fetchone()
            if row is not None and not replace:
                raise AlreadyDeployedError(
                    f"The function {function.name} is there already. Delete it first, or ask for "
                    "it to be replaced."
                )
            version, created = (1, now) if row is None else (row[0] + 1, row[1])
            entry = Entry(
                name=function.name,
                version=version,
                id=function.id,
                runtime=function.runtime,
                format=function.format,
                main=function.main,
                isolation=deployment.isolation,
                timeout_s=deployment.timeout_s,
                memory_mib=deployment.memory_mib,
                size=len(function.code),
                created=created,
                changed=now,
                network=function.network,
            )
            connection.execute(
                f"INSERT OR REPLACE INTO functions ({', '.join(_FIELDS)}, code) "
                f"VALUES ({', '.join('?' * len(_FIELDS))}, ?)",
                (*entry.to_row(), function.code),
            )
            return entry

        return self._database.write(put)

    def get(self, name: str) -> Deployed:
        """Return the function of that name. Raises UnknownFunctionError, DatabaseError."""
        rows = self._database.read("SELECT serial FROM functions WHERE name = ?", (name,))
        kept = self._kept.get(rows[0][0]) if rows else None
        if kept is not None:
            self._kept.move_to_end(rows[0][0])
            return kept
        rows = self._database.read(
            f"SELECT serial, code, {', '.join(_FIELDS)} FROM functions WHERE name = ?", (name,)
        )
        if not rows:
            raise UnknownFunctionError(name)
        serial, code, *told = rows[0]
        entry = Entry.of_row(told)
        function = Function(
            *(entry.name, cast(Format, entry.format), code),
            *(entry.main, entry.runtime, entry.network),
        )
        deployment = Deployment(function, entry.isolation, entry.timeout_s, entry.memory_mib)
        return self._keep(serial, Deployed(deployment, entry))

    def list(self) -> list[Entry]:
        """Return all functions by name. Raises DatabaseError."""
        rows = self._database.read(f"SELECT {', '.join(_FIELDS)} FROM functions ORDER BY name")
        return [Entry.of_row(row) for row in rows]

    def names(self) -> Names:
        """Return the names of all functions. Raises DatabaseError."""
        return [name for (name,) in self._database.read("SELECT name FROM functions ORDER BY name")]

    def delete(self, name: str) -> None:
        """Forget a function; its snapshots stay until they have to go for others.

        Raises UnknownFunctionError, DatabaseError.
        """

        def delete(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM functions WHERE name = ?", (name,)).rowcount

        if self._database.write(delete) == 0:
            raise UnknownFunctionError(name)

    def _keep(self, serial: int, deployed: Deployed) -> Deployed:
        self._kept[serial] = deployed
        self._kept_bytes += deployed.entry.size
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.entry.size
        return deployed
