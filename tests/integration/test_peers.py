"""Every peer for real: the same calls, and nothing left of it afterwards."""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import tempfile
from collections.abc import AsyncIterator

import pytest

from experiments.peers.control_groups import cgroups
from experiments.peers.criu import Criu
from experiments.peers.errors import PeerError
from experiments.peers.firecracker import Firecracker
from experiments.peers.linux_microvm import RestoredMicroVm
from experiments.peers.linux_process import LinuxProcess
from experiments.peers.oci import Crun, Runc
from experiments.peers.peer import Peer
from experiments.peers.podman import Podman
from experiments.peers.zygote import Zygote

KINDS = (LinuxProcess, Zygote, Criu, Crun, Runc, Podman, RestoredMicroVm, Firecracker)
SOURCE = b"""
count = 0
def main(args):
    global count
    count += args['n']
    return {'c': count}
"""


def processes() -> set[str]:
    """Command lines of what peers run, by process; not those of tests that run beside this one."""
    found = set()
    here = os.environ.get("PYTEST_XDIST_WORKER", "").encode()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            starter = re.search(rb"PYTEST_XDIST_WORKER=(\w+)", (folder / "environ").read_bytes())
        except OSError:
            continue
        if starter is not None and starter[1] != here:
            continue
        if (
            b"caller.py" in words
            or b"conmon" in words
            or b"zygote_program" in words
            or b"criu_program" in words
            or b"rdinit=" in words
            or b"--no-api" in words
        ):
            found.add(f"{folder.name} {words!r}")
    return found


def folders() -> set[pathlib.Path]:
    """Folders of peers, this test's and others'."""
    places = (pathlib.Path(tempfile.gettempdir()), pathlib.Path("/dev/shm"))
    return {each for place in places for each in place.glob("seuss-peers-*")}


def mounts() -> set[str]:
    """Mounts of peers that this process sees."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return {line for line in lines if "seuss-peers-" in line}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """An entered peer, after which this looks for what it left."""
    others, mounted, running = folders(), mounts(), processes()
    kind: type[Peer] = request.param
    try:
        async with kind() as entered:
            own = folders() - others
            yield entered
    except PeerError as error:
        pytest.skip(f"{kind.title}: {error.message}")
    # A forked process is its zygote's child: the kernel takes a moment to bury it.
    for _ in range(100):
        if not processes() - running:
            break
        await asyncio.sleep(0.02)
    assert not processes() - running
    assert mounts() == mounted
    assert own
    # Among them may be one of another peer that began at the same time, and ends soon.
    for _ in range(1500):
        if not own & folders():
            break
        await asyncio.sleep(0.02)
    assert not own & folders()
    assert not [group for each in own for group in cgroups(each.name)]


async def test_calls_and_pauses_and_leaves_nothing(peer: Peer) -> None:
    first, second = await asyncio.gather(peer.start(), peer.start())
    assert await first.call({"n": 2}, SOURCE) == {"c": 2}
    assert await first.call({"n": 3}) == {"c": 5}
    await second.load(SOURCE)
    assert await second.call({"n": 1}) == {"c": 1}
    assert first.memory() > 100_000
    await first.pause()
    call = asyncio.create_task(first.call({"n": 1}))
    await asyncio.sleep(0.05)
    assert not call.done()
    await first.resume()
    assert await call == {"c": 6}
    with pytest.raises(PeerError, match="ZeroDivisionError"):
        await second.call({}, b"def main(args):\n    return 1 / 0\n")
    # Paused ones end too; the other is for the peer to end.
    await first.pause()
    await peer.end(first)
