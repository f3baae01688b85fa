"""The peer "podman": containers behind an engine, as a platform on Docker has them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pathlib
from collections.abc import Iterable

from experiments.peers import rootfs
from experiments.peers.control_groups import kernel_charge, remove_cgroup
from experiments.peers.meeting import Meeting, arrival
from experiments.peers.oci import MEMORY_LIMIT
from experiments.peers.own_folder import own_folder
from experiments.peers.peer import Channel, Instance, Peer, command
from experiments.peers.private_mounts import PrivateMounts

IMAGE = "seuss-peer:latest"
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")
"""podman's own default is above what a user without CAP_SYS_RESOURCE may set."""


class Podman(Peer):
    """Containers by `podman run --detach` in crun, without a network or with the host's.

    The host's costs the least: an engine's own network takes a pair of devices per container.
    """

    name = "podman"
    title = "container (podman)"

    def __init__(self, network: bool = False) -> None:
        self._network = "host" if network else "none"

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        folder = await stack.enter_async_context(own_folder())
        for name in ("root", "storage", "meet"):
            (folder / name).mkdir()
        await asyncio.to_thread(rootfs.build, folder / "root")
        self._folder = folder
        self._numbers = itertools.count()
        self._meeting = await stack.enter_async_context(Meeting(folder / "meet" / "socket"))
        self._mounts = await stack.enter_async_context(PrivateMounts(folder / "storage"))
        self._engine = (
            *("podman", "--root", str(folder / "storage" / "images")),
            *("--runroot", str(folder / "storage" / "run"), "--runtime", "crun"),
            *("--tmpdir", str(folder / "storage" / "tmp")),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "none"),
        )
        stack.push_async_callback(remove_cgroup, folder.name)
        archive = folder / "root.tar"
        await command(
            *("tar", "-C", str(folder / "root"), "-cf", str(archive), "."),
            what="The containers' image cannot be packed",
        )
        await self.run("import", str(archive), IMAGE)
        archive.unlink()
        await self.end(await self.start())

    def kernel_memory(self) -> int:
        return kernel_charge(self._folder.name)

    async def end_all(self, instances: Iterable[Instance]) -> None:
        """Close many containers: in one go, which takes a quarter of the time."""
        containers = [each for each in instances if isinstance(each, _Container)]
        if containers:
            await self.run("rm", "--force", "--time", "0", *(each.name for each in containers))
        self._instances.difference_update(containers)
        await asyncio.gather(*(each.hang_up() for each in containers))

    async def run(self, *words: str) -> str:
        """Run podman and return what it printed. Raises PeerError."""
        return await command(
            *self._mounts.inside(*self._engine, *words), what=f"podman {words[0]} failed"
        )

    async def _start(self) -> Instance:
        name = f"seuss-{os.getpid()}-{next(self._numbers)}"
        try:
            async with self._meeting.expect(name) as future:
                await self.run(
                    *("run", "--detach", "--name", name, "--network", self._network, *LIMITS),
                    *("--log-driver", "none", "--cgroup-parent", f"/{self._folder.name}"),
                    *("--memory", str(MEMORY_LIMIT), "-v", f"{self._folder / 'meet'}:/meet"),
                    *(IMAGE, str(rootfs.PYTHON), "-S", "-I", "/caller.py", "/meet/socket", name),
                )
                channel, pid = await arrival(future)
        except BaseException:
            await self.run("rm", "--force", "--ignore", "--time", "0", name)
            raise
        return _Container(self, name, channel, (pid, _parent(pid)))


class _Container(Instance):
    """A container and its monitor process, which counts as its memory too."""

    def __init__(self, peer: Podman, name: str, channel: Channel, pids: tuple[int, int]) -> None:
        super().__init__(channel, pids)
        self._peer = peer
        self.name = name

    async def pause(self) -> None:
        await self._peer.run("pause", self.name)

    async def resume(self) -> None:
        await self._peer.run("unpause", self.name)

    async def close(self) -> None:
        # In this order: podman stumbles over containers that end while it removes them.
        await self._peer.run("rm", "--force", "--time", "0", self.name)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the stream, once the container is removed."""
        await self._channel.close()


def _parent(pid: int) -> int:
    """Return a process's parent: of a container's first process, its monitor."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("PPid:"):
            return int(line.split()[1])
    return 0
