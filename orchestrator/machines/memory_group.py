"""A bound on all memory that a machine's process may take: a control group of its own.

RLIMIT_AS bounds addresses, of which QEMU reserves far more than it uses; only a control group
counts pages. Whether this process may make one depends on the host: version 1 or 2, mounted, and
its folder given to this user (root's, or delegated by systemd).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pathlib
import subprocess
from dataclasses import dataclass
from typing import Final

MOUNTS: Final = pathlib.Path("/proc/self/mounts")
MEMBERSHIP: Final = pathlib.Path("/proc/self/cgroup")
PREFIX: Final = "seuss-"
BOUNDS: Final = {
    1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", None),
    2: ("memory.max", "memory.swap.max", 0),
}
"""By version: the bound on memory, that on swap, and what that is for none (None: the limit, since
version 1 counts both together)."""
_PROCESSES: Final = "cgroup.procs"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """Where groups can be made: a folder, of version 1 or 2; or `folder` None and why not."""

    folder: pathlib.Path | None
    version: int = 0
    obstacle: str = ""

    def __str__(self) -> str:
        if self.folder is None:
            return f"no limit: {self.obstacle}"
        return f"control groups, version {self.version}, in {self.folder}"


class MemoryGroup:
    """A group for one process, with a limit in bytes.

    Raises OSError when it cannot be made; then nothing is left of it.
    """

    def __init__(self, place: Place, limit: int) -> None:
        assert place.folder is not None
        self._version = place.version
        self.folder = _made_folder(place.folder)
        try:
            bound, swap, none = BOUNDS[self._version]
            (self.folder / bound).write_text(str(limit))
            with contextlib.suppress(OSError):  # without swap there is no such file
                (self.folder / swap).write_text(str(limit if none is None else none))
            self._processes = os.open(self.folder / _PROCESSES, os.O_WRONLY | os.O_CLOEXEC)
        except BaseException:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
            raise

    def enter(self) -> None:
        """Put the process that calls this into the group (between fork and exec)."""
        os.write(self._processes, b"0")

    @property
    def exceeded(self) -> bool:
        """Whether the kernel ended a process for taking more than the limit."""
        try:
            name = "memory.oom_control" if self._version == 1 else "memory.events"
            lines = (self.folder / name).read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def remove(self) -> None:
        """Remove the group; its process must be gone."""
        os.close(self._processes)
        with contextlib.suppress(OSError):  # the next process to look takes what stays
            self.folder.rmdir()


def _made_folder(parent: pathlib.Path) -> pathlib.Path:
    """Make a group under a name that is free: in containers, ids of processes come back."""
    while True:
        folder = parent / f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder


@functools.cache
def place() -> Place:
    """Return where this process may make groups. It is found out once, by making one."""
    found = find_place(MOUNTS.read_text(), MEMBERSHIP.read_text())
    if found.folder is None:
        return found
    _sweep(found.folder)
    try:
        group = MemoryGroup(found, 1 << 30)
        try:
            subprocess.run(["true"], check=True, preexec_fn=group.enter)
        finally:
            group.remove()
    except (OSError, subprocess.SubprocessError) as error:
        return Place(None, obstacle=f"a group in {found.folder} cannot be used ({error})")
    return found


def find_place(mounts: str, membership: str) -> Place:
    """Return where groups could be made, as these files in /proc have it."""
    one, two = _mounted(mounts)
    groups = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        groups[controllers] = path.lstrip("/")
    for controllers, path in groups.items():
        if one is not None and "memory" in controllers.split(","):
            # In a container the path can be the host's, and the container's root is the mount.
            own = one / path if (one / path).is_dir() else one
            if os.access(own, os.W_OK):
                return Place(own, 1)
            return Place(None, obstacle=f"{own} belongs to another user")
    if two is None or "" not in groups:
        return Place(None, obstacle="no control group for memory is mounted")
    own = two / groups[""] if (two / groups[""]).is_dir() else two
    # A group that has processes gives its children no memory controller: ours stand beside it.
    for folder in (own, own.parent):
        with contextlib.suppress(OSError):
            if "memory" in (folder / "cgroup.subtree_control").read_text().split():
                if os.access(folder, os.W_OK) and os.access(folder / _PROCESSES, os.W_OK):
                    return Place(folder, 2)
                return Place(None, obstacle=f"{folder} belongs to another user")
    return Place(None, obstacle=f"{own} has no memory controller for groups below it")


def _mounted(mounts: str) -> tuple[pathlib.Path | None, pathlib.Path | None]:
    """Return where version 1's memory controller and version 2 are mounted."""
    one = two = None
    for line in mounts.splitlines():
        _, where, kind, options, *_ = line.split(" ")
        if kind == "cgroup" and "memory" in options.split(","):
            one = one or pathlib.Path(where)
        elif kind == "cgroup2":
            two = two or pathlib.Path(where)
    return one, two


def _sweep(folder: pathlib.Path) -> None:
    """Remove groups of orchestrators that were killed; one in use cannot be removed.

    This process has made none yet: what has its id is of one before it.
    """
    for group in folder.glob(f"{PREFIX}*-*"):
        owner = group.name.removeprefix(PREFIX).partition("-")[0]
        mine = owner == str(os.getpid())
        if owner.isdigit() and (mine or not pathlib.Path("/proc", owner).exists()):
            with contextlib.suppress(OSError):
                group.rmdir()
