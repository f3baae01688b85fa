"""Mounts of the run's own, and in them a /dev of its own: gone when the run is."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import subprocess
from typing import Self

from experiments.peers.errors import PeerError

UNIFIED = pathlib.Path("/sys/fs/cgroup/unified")
_SCRIPT = """
set -e
# crun takes version 1 and 2 side by side for an error; nobody outside sees that this one is gone.
if mountpoint -q "$1"; then umount "$1"; fi
# Runtimes as root may remove or replace devices, and leave locks in /dev/shm: not the machine's.
devices=$2/.devices
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir -p "$devices/pts" "$devices/shm"
for name in null zero full random urandom tty; do cp -a "/dev/$name" "$devices/$name"; done
ln -s /proc/self/fd "$devices/fd"
mount --bind "$devices" /dev
echo ready
exec cat
"""


class PrivateMounts:
    """Holds the namespace, with a tmpfs at `folder`, by a process that ends with this one."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._holder: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        words = ("unshare", "--mount", "sh", "-c", _SCRIPT, "sh", str(UNIFIED), str(self.folder))
        self._holder = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C is for us: the containers cannot be removed without their mounts.
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if await self._holder.stdout.readline() != b"ready\n":
            errors = (await self._holder.stderr.read()).decode("utf-8", "replace").strip()
            await self.__aexit__()
            raise PeerError(
                f"Containers need mounts of their own, and this user may not make them: {errors}. "
                "Run as root.",
                command=words,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._holder.kill()
        await self._holder.wait()

    def inside(self, *words: str) -> tuple[str, ...]:
        """Return the command that runs `words` in the namespace."""
        return ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--", *words)

    def seen(self, path: pathlib.Path) -> pathlib.Path:
        """Return where this process finds a path of the namespace."""
        return pathlib.Path(f"/proc/{self._holder.pid}/root") / path.relative_to("/")
