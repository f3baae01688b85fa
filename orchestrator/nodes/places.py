"""Where running nodes are found: a private folder with a socket and a lock for each by name."""

from __future__ import annotations

import fcntl
import os
import pathlib
import re
import struct
from dataclasses import dataclass

from orchestrator.errors import NodeError
from orchestrator.runtime_folder import runtime_folder

DEFAULT_NAME = "default"
SOCKET_PATH_LIMIT = 107
"""Bytes of a socket's path that Linux takes."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_LOCK = struct.Struct("@hhqqi0q")
"""Linux's struct flock: kind of lock, whence, start, length, process."""


@dataclass(frozen=True)
class NodePlace:
    """The files of one node. Its daemon holds the lock for as long as it lives, however it ends."""

    folder: pathlib.Path
    name: str

    @property
    def socket(self) -> pathlib.Path:
        """Where the daemon listens."""
        return self.folder / f"{self.name}.sock"

    @property
    def monitor(self) -> pathlib.Path:
        """Where the node's QEMU listens for a debugger."""
        return self.folder / f"{self.name}.qmp"

    @property
    def lock(self) -> pathlib.Path:
        """What the daemon holds."""
        return self.folder / f"{self.name}.lock"

    @property
    def log(self) -> pathlib.Path:
        """What the daemon says."""
        return self.folder / f"{self.name}.log"

    def running(self) -> bool:
        """Whether a daemon holds the lock."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Asked, not tried: a daemon that takes the lock at this moment must get it.
            told = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
        finally:
            os.close(descriptor)
        kind: int = _LOCK.unpack(told)[0]
        return kind != fcntl.F_UNLCK

    def take(self) -> int:
        """Take the lock; return its descriptor. Raises NodeError when the node runs already."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            raise NodeError(
                f"The node {self.name} runs already. Stop it with seuss node stop, or give "
                "another --name."
            ) from None
        return descriptor


def _whole_file(kind: int) -> bytes:
    """Describe a lock of a whole file that belongs to a descriptor, not to a process."""
    return _LOCK.pack(kind, os.SEEK_SET, 0, 0, 0)


def place(name: str) -> NodePlace:
    """Return the place of the node of that name. Raises NodeError for what can be none."""
    if not _NAME.fullmatch(name):
        raise NodeError(
            f"{name!r} can be no node's name. Use up to 32 letters, digits, dots and dashes."
        )
    found = NodePlace(runtime_folder(), name)
    if len(os.fsencode(found.socket)) > SOCKET_PATH_LIMIT:
        raise NodeError(
            f"{found.socket} is longer than the {SOCKET_PATH_LIMIT} bytes that a socket's path may "
            "have. Name a shorter folder in SEUSS_RUNTIME."
        )
    return found


def places() -> list[NodePlace]:
    """Return the places of all nodes that run."""
    folder = runtime_folder()
    found = [NodePlace(folder, path.stem) for path in sorted(folder.glob("*.lock"))]
    return [each for each in found if each.running()]
