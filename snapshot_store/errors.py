"""The project's single exception tree.

Every error that is meant for a user descends from `SeussError`. Its message names the input,
the cause and the next step; `command` and `log_tail` carry what a failed process was and said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import join


class SeussError(Exception):
    """Base of all errors of the project.

    Args:
        message: what was asked, why it failed and what to do next.
        command: the command line of the process that failed, if there was one.
        log_tail: the last lines that this process wrote.
    """

    def __init__(self, message: str, *, command: Sequence[str] = (), log_tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.command = tuple(command)
        self.log_tail = log_tail

    def __str__(self) -> str:
        parts = [self.message]
        if self.command:
            parts.append(f"command: {join(self.command)}")
        if self.log_tail:
            parts.append(f"log: {self.log_tail.rstrip()}")
        return "\n".join(parts)


class StoreError(SeussError):
    """Something about the store or one of its snapshots is not as asked."""


class StoreFullError(StoreError):
    """There is no room left for the snapshot; nothing of it was kept."""


class InvalidDraftError(StoreError, ValueError):
    """What the caller handed in to be stored contradicts itself or the format."""


class UnknownSnapshotError(StoreError):
    """No snapshot of that id is in the store."""

    def __init__(self, snapshot_id: str, message: str) -> None:
        super().__init__(message)
        self.snapshot_id = snapshot_id


class CorruptSnapshotError(StoreError):
    """A snapshot's files are not what was once committed."""

    def __init__(self, snapshot_id: str, reason: str) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is damaged: {reason}. "
            f"See `seuss snapshots verify {snapshot_id}`, "
            f"then remove it with `seuss snapshots delete {snapshot_id}`"
        )
        self.snapshot_id = snapshot_id
        self.reason = reason


class HasChildrenError(StoreError):
    """A snapshot that others are built on was to be deleted."""

    def __init__(self, snapshot_id: str, children: Sequence[str]) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is the parent of {', '.join(children)}: "
            "delete those first, or all of them with `seuss snapshots delete --recursive`"
        )
        self.snapshot_id = snapshot_id
        self.children = tuple(children)


@dataclass(frozen=True)
class Difference:
    """One field in which a snapshot and what it must fit differ.

    Attributes:
        field: name of the field, facts as `facts.NAME`.
        stored: its value in the snapshot, as text.
        wanted: the value it had to have, as text.
    """

    field: str
    stored: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.field} is {self.stored} in the snapshot, {self.wanted} here"


class MismatchError(StoreError):
    """A snapshot does not fit; `differences` names each field with both values."""

    def __init__(self, snapshot_id: str, differences: Sequence[Difference]) -> None:
        super().__init__(
            f"snapshot {snapshot_id} does not fit: {'; '.join(map(str, differences))}. "
            "Take a new snapshot, or use the image and machine it was taken with"
        )
        self.snapshot_id = snapshot_id
        self.differences = tuple(differences)


class OutdatedError(MismatchError):
    """A snapshot is of a format that was before this one: nothing can restore it any more."""
