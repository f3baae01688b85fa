"""A peer's folder: its own while it runs, and gone after a run that was killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal

import pytest

from experiments.peers import control_groups, own_folder
from experiments.peers.errors import PeerError
from experiments.peers.private_mounts import PrivateMounts


async def test_folders_of_runs_that_live_stay(tmp_path: pathlib.Path) -> None:
    async with own_folder.own_folder(tmp_path) as first:
        (first / "file").write_text("mine")
        async with own_folder.own_folder(tmp_path) as second:
            assert first != second and (first / "file").read_text() == "mine"
    assert not os.listdir(tmp_path)  # noqa: PTH208


async def test_what_a_killed_run_left_goes_with_the_next(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "seuss-peers-left"
    (left / "boxes").mkdir(parents=True)
    other = tmp_path / "seuss-other"
    other.mkdir()
    groups = tmp_path / "groups"
    group = groups / "freezer" / left.name / "one"
    group.mkdir(parents=True)
    frozen = await asyncio.create_subprocess_exec("sleep", "600")
    (group / "freezer.state").write_text("FROZEN")
    (group / "cgroup.procs").write_text(f"{frozen.pid}\n")
    thawed = []
    monkeypatch.setattr(control_groups, "_ROOT", groups)

    async def note(name: str) -> None:
        thawed.append((name, (group / "freezer.state").read_text()))

    monkeypatch.setattr(own_folder, "remove_cgroup", note)
    async with own_folder.own_folder(tmp_path):
        assert not left.exists() and other.exists()
    assert thawed == [(left.name, "THAWED")]
    assert await asyncio.wait_for(frozen.wait(), 10) == -signal.SIGKILL


async def test_ctrl_c_is_not_for_what_holds_the_mounts(tmp_path: pathlib.Path) -> None:
    """A terminal sends it to the whole process group."""
    mounts = PrivateMounts(tmp_path)
    with contextlib.suppress(PeerError):
        async with mounts:
            pid = mounts._holder.pid
            assert os.getpgid(pid) != os.getpgrp()
            return
    pytest.skip("this user may not make mounts")
