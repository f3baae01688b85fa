"""Crowds of idle instances for real: counted, measured and asked; what cannot run has a reason."""

from __future__ import annotations

import asyncio
import pathlib

from experiments import crowds
from experiments.crowds import VM, Crowd
from experiments.peers.control_groups import kernel_charge
from experiments.peers.errors import PeerError
from experiments.peers.linux_process import LinuxProcess
from experiments.peers.oci import Crun
from experiments.peers.zygote import Zygote
from orchestrator.settings import Settings


async def test_crowds_are_counted_and_measured(tmp_path: pathlib.Path) -> None:
    sizes = {VM: 2, LinuxProcess.name: 5, Zygote.name: 40}
    found = {}
    gathering = crowds.gather(Settings(), sizes, "tcg", tmp_path, lambda *_: None)
    async for system, crowd in gathering:
        assert isinstance(crowd, Crowd), crowd
        assert crowd.system == system
        assert crowd.wrong == []
        assert len(crowd.start_ms) == crowd.instances == sizes[system]
        # Page tables are a small part of what processes take.
        assert 0 < crowd.kernel_memory < crowd.memory
        found[system] = crowd
    # Many forks share what interpreters of their own do not, and a machine holds more than either.
    assert found[Zygote.name].per_gib > found[LinuxProcess.name].per_gib > found[VM].per_gib
    # Its snapshots are gone with them.
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_containers_kernel_memory_is_their_control_groups(tmp_path: pathlib.Path) -> None:
    gathering = crowds.gather(Settings(), {Crun.name: 1}, "tcg", tmp_path, lambda *_: None)
    async for _, crowd in gathering:
        if isinstance(crowd, str):
            # The reason is the peer's own, not one made here.
            try:
                async with Crun():
                    raise AssertionError("crun runs, but not in a crowd")
            except PeerError as error:
                assert crowd == error.message
        else:
            assert crowd.kernel_memory > 10_000
            assert crowd.wrong == []
    assert kernel_charge("no-such-group") == 0
