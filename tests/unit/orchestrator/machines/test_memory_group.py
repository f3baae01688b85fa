"""Where machines' control groups can be made, as a host's files in /proc tell it."""

from __future__ import annotations

import itertools
import os
import pathlib

import pytest

from orchestrator.machines import memory_group
from orchestrator.machines.memory_group import MemoryGroup, Place, find_place

HYBRID = (
    "proc /proc proc rw 0 0\n"
    "cgroup {0}/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n"
    "cgroup {0}/memory cgroup rw,relatime,memory 0 0\n"
    "cgroup2 {0}/unified cgroup2 rw,relatime 0 0\n"
)


def unified(root: pathlib.Path, folder: str, controllers: str) -> None:
    """Lay out a group of version 2 as the kernel shows it."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "cgroup.subtree_control").write_text(controllers)
    (root / folder / "cgroup.procs").write_text("")


def test_version_one_is_used_where_it_has_the_memory(tmp_path: pathlib.Path) -> None:
    own = tmp_path / "memory" / "session"
    own.mkdir(parents=True)
    mounts = HYBRID.format(tmp_path)
    assert find_place(mounts, "4:memory:/session\n1:cpu,cpuacct:/\n0::/x") == Place(own, 1)
    # What a container is told can be the path on its host.
    assert find_place(mounts, "4:memory:/host/7f\n0::/") == Place(tmp_path / "memory", 1)


def test_version_two_needs_the_controller(tmp_path: pathlib.Path) -> None:
    mounts = f"cgroup2 {tmp_path} cgroup2 rw 0 0\n"
    unified(tmp_path, "", "cpu memory pids\n")
    unified(tmp_path, "a.slice", "cpu memory\n")
    unified(tmp_path, "a.slice/b.scope", "")
    assert find_place(mounts, "0::/\n") == Place(tmp_path, 2)
    # Beside a group that has processes, for its children get no controller.
    assert find_place(mounts, "0::/a.slice/b.scope\n") == Place(tmp_path / "a.slice", 2)
    unified(tmp_path, "a.slice", "cpu\n")
    refused = find_place(mounts, "0::/a.slice/b.scope\n")
    assert refused.folder is None and "no memory controller" in refused.obstacle


@pytest.mark.parametrize(
    ("mounts", "membership"),
    [("proc /proc proc rw 0 0\n", "0::/\n"), ("", ""), ("cgroup /x cgroup rw,cpu 0 0", "1:cpu:/")],
)
def test_without_control_groups_it_says_so(mounts: str, membership: str) -> None:
    assert str(find_place(mounts, membership)).startswith("no limit: no control group for memory")


@pytest.mark.parametrize(
    ("version", "bounds"),
    [
        (1, {"memory.limit_in_bytes": "1048576", "memory.memsw.limit_in_bytes": "1048576"}),
        (2, {"memory.max": "1048576", "memory.swap.max": "0"}),
    ],
)
def test_a_group_is_bounded_without_swap(
    tmp_path: pathlib.Path, version: int, bounds: dict[str, str]
) -> None:
    with pytest.raises(FileNotFoundError):
        MemoryGroup(Place(tmp_path, version), 1 << 20)  # this folder is not the kernel's
    [made] = tmp_path.iterdir()
    assert {file.name: file.read_text() for file in made.iterdir()} == bounds


def test_groups_left_by_a_process_of_the_same_id_are_in_nobodys_way(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_group, "_numbers", itertools.count(1))
    kept, left, dead = (tmp_path / f"seuss-{id}-1" for id in (os.getppid(), os.getpid(), 1 << 30))
    for folder in (kept, left, dead):
        folder.mkdir()
    (left / "in_use").touch()
    with pytest.raises(FileNotFoundError):
        MemoryGroup(Place(tmp_path, 1), 1 << 20)  # this folder is not the kernel's
    assert (tmp_path / f"seuss-{os.getpid()}-2" / "memory.limit_in_bytes").exists()
    (left / "in_use").unlink()
    monkeypatch.setattr(memory_group, "find_place", lambda *_: Place(tmp_path, 1))
    assert memory_group.place.__wrapped__().folder is None
    assert kept.exists() and not left.exists() and not dead.exists()
