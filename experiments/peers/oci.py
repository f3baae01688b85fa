"""The peers "crun" and "runc": containers driven directly, each with an overlay of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
from typing import Any, ClassVar

from experiments.peers import rootfs
from experiments.peers.control_groups import kernel_charge, remove_cgroup
from experiments.peers.meeting import Meeting, arrival
from experiments.peers.own_folder import own_folder
from experiments.peers.peer import Channel, Instance, Peer, command
from experiments.peers.private_mounts import PrivateMounts

MEMORY_LIMIT = 256 << 20
"""Bytes that a container may use at most: OpenWhisk's default."""
_CREATE = """
runtime=$1 state=$2 box=$3 lower=$4 id=$5
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$box/upper,workdir=$box/work" "$box/merged" &&
"$runtime" --root "$state" create --bundle "$box" "$id" >"$box/log" 2>&1 &&
exec "$runtime" --root "$state" start "$id" || { cat "$box/log" >&2; exit 1; }
"""
_REMOVE = """
runtime=$1 state=$2 box=$3 id=$4
if [ -e "$state/$id" ]; then "$runtime" --root "$state" delete --force "$id"; fi
while mountpoint -q "$box/merged" && ! umount "$box/merged"; do sleep 0.01; done 2>/dev/null
rm -rf "$box"
"""


class OciRuntime(Peer):
    """Containers of one OCI runtime, in all the namespaces that its own specification names.

    With `network`, in the host's network.
    """

    runtime: ClassVar[str]

    def __init__(self, network: bool = False) -> None:
        self._network = network

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        folder = await stack.enter_async_context(own_folder())
        for name in ("root", "boxes", "meet", "spec", "state"):
            (folder / name).mkdir()
        await asyncio.to_thread(rootfs.build, folder / "root")
        self._folder = folder
        self._numbers = itertools.count()
        self._meeting = await stack.enter_async_context(Meeting(folder / "meet" / "socket"))
        self._mounts = await stack.enter_async_context(PrivateMounts(folder / "boxes"))
        stack.push_async_callback(remove_cgroup, folder.name)
        await command(
            *(self.runtime, "spec", "--bundle", str(folder / "spec")),
            what=f"Containers of {self.runtime} cannot be described",
        )
        self._spec = (folder / "spec" / "config.json").read_text(encoding="utf-8")
        # Shows now, not in the middle of a run, whether this machine can do it.
        await self.end(await self.start())

    def _config(self, box: pathlib.Path, name: str) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self._spec)
        spec["process"] |= {
            "terminal": False,
            "args": [str(rootfs.PYTHON), "-S", "-I", "/caller.py", "/meet/socket", name],
        }
        spec["root"] = {"path": str(box / "merged"), "readonly": False}
        meet = {"destination": "/meet", "type": "bind", "source": str(self._folder / "meet")}
        spec["mounts"].append(meet | {"options": ["bind", "rw"]})
        if self._network:
            spaces = spec["linux"]["namespaces"]
            spec["linux"]["namespaces"] = [each for each in spaces if each["type"] != "network"]
        spec["linux"]["cgroupsPath"] = f"/{self._folder.name}/{name}"
        spec["linux"].setdefault("resources", {})["memory"] = {"limit": MEMORY_LIMIT}
        return spec

    async def _start(self) -> Instance:
        name = f"seuss-{os.getpid()}-{next(self._numbers)}"
        box = self._folder / "boxes" / name
        seen = self._mounts.seen(box)
        for part in ("upper", "work", "merged"):
            (seen / part).mkdir(parents=True)
        (seen / "config.json").write_text(json.dumps(self._config(box, name)), encoding="utf-8")
        try:
            async with self._meeting.expect(name) as future:
                await self._script(_CREATE, "start", box, str(self._folder / "root"), name)
                channel, pid = await arrival(future)
        except BaseException:
            await self.remove(name)
            raise
        return _Container(self, name, channel, pid)

    async def act(self, action: str, name: str) -> None:
        """Have the runtime do something with a container: pause or resume."""
        state = str(self._folder / "state")
        await command(
            *self._mounts.inside(self.runtime, "--root", state, action, name),
            what=f"A container of {self.runtime} did not {action}",
        )

    async def remove(self, name: str) -> None:
        """Delete a container with its overlay."""
        await self._script(_REMOVE, "end", self._folder / "boxes" / name, name)

    def kernel_memory(self) -> int:
        return kernel_charge(self._folder.name)

    async def _script(self, script: str, what: str, box: pathlib.Path, *rest: str) -> None:
        words = (self.runtime, str(self._folder / "state"), str(box), *rest)
        await command(
            *self._mounts.inside("sh", "-c", script, "sh", *words),
            what=f"A container of {self.runtime} did not {what}",
        )


class Crun(OciRuntime):
    """The runtime in C that podman uses."""

    name = "crun"
    title = "container (crun)"
    runtime = "crun"


class Runc(OciRuntime):
    """The runtime in Go that Docker uses, and OpenWhisk for its pauses."""

    name = "runc"
    title = "container (runc)"
    runtime = "runc"


class _Container(Instance):
    def __init__(self, peer: OciRuntime, name: str, channel: Channel, pid: int) -> None:
        super().__init__(channel, (pid,))
        self._peer = peer
        self._name = name
        self._paused = False

    async def pause(self) -> None:
        await self._peer.act("pause", self._name)
        self._paused = True

    async def resume(self) -> None:
        await self._peer.act("resume", self._name)
        self._paused = False

    async def close(self) -> None:
        # What is frozen cannot die.
        if self._paused:
            await self.resume()
        await self._channel.close()
        await self._peer.remove(self._name)
