"""The region that nodes share, and where guests see it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RegionFullError, RestoreError, SettingsError
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.machines.shared_memory import SharedMemory
from orchestrator.settings import Machine
from orchestrator.uc.region_ledger import Entry, Ledger
from orchestrator.uc.shared_region import (
    ZERO_FRAME,
    SharedRegion,
    check_memory,
    file_pages,
    physical_address,
)
from snapshot_store import PAGE_SIZE, PageSet

TCG = Accelerator("tcg", TCG_CPU, "TCG, for tests.", {})


def page_set(*fills: int) -> PageSet:
    data = np.zeros((len(fills), PAGE_SIZE), np.uint8)
    data[:] = np.array(fills, np.uint8)[:, None]
    return PageSet(np.arange(10, 10 + len(fills), dtype=np.uint64), data)


@pytest.fixture
def region() -> Iterator[SharedRegion]:
    made = SharedRegion(6 * PAGE_SIZE)
    yield made
    made.close()


def test_a_snapshot_is_placed_once(region: SharedRegion) -> None:
    first = region.place("a", page_set(1, 0, 2))
    assert list(first.numbers) == [10, 11, 12]
    assert list(first.indices) == [0, ZERO_FRAME, 1]
    assert list(region.place("b", page_set(3)).indices) == [2]
    assert list(region.place("a", page_set(9, 0, 9)).indices) == list(first.indices)
    seen = region.memory.pages(np.arange(4, dtype=np.uint64))
    assert [int(page[0]) for page in seen] == [1, 2, 3, 0]
    assert all((page == page[0]).all() for page in seen)


def test_a_full_region_takes_no_more(region: SharedRegion) -> None:
    region.place("a", page_set(1, 2, 3, 4))
    with pytest.raises(RestoreError, match="room for 2"):
        region.place("b", page_set(1, 2, 3))
    assert list(region.place("c", page_set(0, 0, 0, 5)).indices)[3] == 4


def test_snapshots_placed_at_the_same_time(
    region: SharedRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = region.memory.write
    writing = threading.Event()

    def slow(first_page: int, data: npt.NDArray[np.uint8]) -> None:
        writing.set()
        threading.Event().wait(0.05)
        write(first_page, data)

    monkeypatch.setattr(region.memory, "write", slow)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(region.place, "a", page_set(1, 2))
        assert writing.wait(10)
        second = threads.submit(region.place, "b", page_set(3, 4))
        again = threads.submit(region.place, "a", page_set(1, 2))
        placed = [each.result() for each in (first, second)]
        assert list(again.result().indices) == list(placed[0].indices)
    seen = [region.memory.pages(each.indices)[:, 0].tolist() for each in placed]
    assert seen == [[1, 2], [3, 4]]


def test_a_closed_region_takes_nothing(region: SharedRegion) -> None:
    region.close()
    with pytest.raises(RestoreError, match="ended"):
        region.place("a", page_set(1))


@given(st.sampled_from(["microvm", "q35"]), st.integers(64, 8192), st.integers(0, 2**23))
def test_frames_and_file_offsets_match(machine: Machine, mib: int, page: int) -> None:
    hardware = Hardware(TCG, machine, mib)
    total = hardware.memory + 256 * MIB
    page %= total // PAGE_SIZE
    address = physical_address(hardware, page * PAGE_SIZE, total)
    assert not 0xC0000000 <= address < 1 << 32
    frames = np.array([address // PAGE_SIZE], np.uint64)
    assert file_pages(hardware, frames, total).tolist() == [page]


@pytest.mark.parametrize(
    ("machine", "mib", "fits"),
    [
        ("microvm", 512, True),
        ("microvm", 2816, True),
        ("microvm", 2817, False),
        ("microvm", 3071, False),
        ("microvm", 3072, True),
        ("q35", 1900, True),
        ("q35", 2600, True),
        ("q35", 4096, True),
    ],
)
def test_a_region_must_not_be_split(machine: Machine, mib: int, fits: bool) -> None:
    hardware = Hardware(TCG, machine, mib)
    if fits:
        check_memory(hardware)
    else:
        with pytest.raises(SettingsError, match="at most 2816 or at least 3072"):
            check_memory(hardware)


def test_the_kernel_is_told_where_the_region_lies(region: SharedRegion) -> None:
    assert region.option(Hardware(TCG, "microvm", 512)) == f"seuss.shared={512 * MIB}@24576"


def test_pages_come_back_when_the_last_use_ends(region: SharedRegion) -> None:
    region.place("a", page_set(1, 2))
    region.place("a", page_set(1, 2))
    region.place("b", page_set(3, 4))
    region.release("a")
    with pytest.raises(RegionFullError, match="room for 2"):
        region.place("c", page_set(5, 6, 7))
    region.release("a")
    region.release("a")
    assert region.memory.pages(np.arange(2, dtype=np.uint64)).sum() == 0
    # Its pages lie on both sides of what is still there.
    placed = region.place("c", page_set(5, 6, 7))
    assert placed.indices.tolist() == [0, 1, 4]
    assert region.memory.pages(placed.indices)[:, 0].tolist() == [5, 6, 7]
    assert region.memory.pages(np.array([2, 3], np.uint64))[:, 0].tolist() == [3, 4]


def test_regions_of_one_host_are_one(tmp_path: pathlib.Path) -> None:
    first, second, other = (
        SharedRegion(6 * PAGE_SIZE, tmp_path / "regions", image) for image in ("a", "a", "b")
    )
    placed = first.place("one", page_set(1, 2, 3, 4))
    assert second.place("one", page_set(1, 2, 3, 4)).indices.tolist() == placed.indices.tolist()
    assert second.memory.pages(placed.indices)[:, 0].tolist() == [1, 2, 3, 4]
    with pytest.raises(RegionFullError):
        second.place("two", page_set(5, 6, 7))
    other.place("two", page_set(5, 6, 7))
    first.close()
    assert second.memory.pages(placed.indices)[:, 0].tolist() == [1, 2, 3, 4]
    second.release("one")
    assert second.memory.pages(placed.indices).sum() == 0
    second.close()
    other.close()
    assert [*(tmp_path / "regions").iterdir()] == []


DIES = """
import os, sys, pathlib, numpy as np
from orchestrator.uc.shared_region import SharedRegion
from snapshot_store import PAGE_SIZE, PageSet
region = SharedRegion(6 * PAGE_SIZE, pathlib.Path(sys.argv[1]), "a")
assert region.shared
pages = PageSet(np.arange(4, dtype=np.uint64), np.full((4, PAGE_SIZE), 7, np.uint8))
region.place("dead", pages)
region.place("kept", PageSet(pages.numbers[:1], pages.data[:1] + 1))
print("placed", flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def test_what_a_dead_process_used_comes_back(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", DIES, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "placed\n"
        region = SharedRegion(6 * PAGE_SIZE, tmp_path, "a")
        assert region.memory.pages(np.arange(5, dtype=np.uint64))[:, 0].tolist() == [7] * 4 + [8]
        assert region.place("kept", page_set(8)).indices.tolist() == [4]
        with pytest.raises(RegionFullError):
            region.place("new", page_set(1, 2))
        other.stdin.close()
    assert region.place("new", page_set(1, 2)).indices.tolist() == [0, 1]
    assert region.memory.pages(np.arange(5, dtype=np.uint64))[:, 0].tolist() == [1, 2, 0, 0, 8]
    region.close()
    # And one that was its only user leaves nothing that the next would trust.
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as alone:
        assert alone.stdin is not None and alone.stdout is not None
        assert alone.stdout.readline() == "placed\n"
        alone.stdin.close()
    region = SharedRegion(6 * PAGE_SIZE, tmp_path, "a")
    assert region.memory.pages(np.arange(6, dtype=np.uint64)).sum() == 0
    region.close()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("damage", [None, "", "[]", '{"inode": 1, "pages": 6}'])
def test_without_its_record_a_region_takes_no_more(
    tmp_path: pathlib.Path, damage: str | None
) -> None:
    region = SharedRegion(6 * PAGE_SIZE, tmp_path, "a")
    region.place("a", page_set(1))
    (record,) = tmp_path.glob("*.json")
    record.unlink()
    if damage is not None:
        record.write_text(damage)
    with pytest.raises(RestoreError, match="record"):
        region.place("b", page_set(2))
    # A process that comes now begins another, and the first keeps out of it.
    later = SharedRegion(6 * PAGE_SIZE, tmp_path, "a")
    later.place("c", page_set(3))
    with pytest.raises(RestoreError, match="record"):
        region.place("b", page_set(2))
    region.release("a")
    region.close()
    assert later.memory.pages(np.zeros(1, np.uint64))[0, 0] == 3
    later.close()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5)), max_size=40))
def test_no_page_is_anothers(steps: list[tuple[str, int]]) -> None:
    ledger = Ledger(1, 12)
    for name, count in steps:
        if name in ledger.snapshots:
            ledger.drop("me", name)
        elif (extents := ledger.allocate(count)) is not None:
            assert sum(size for _, size in extents) == count
            ledger.snapshots[name] = Entry(extents, {"me"})
        taken = [
            page
            for each in ledger.snapshots.values()
            for start, size in each.extents
            for page in range(start, start + size)
        ]
        free = sum(size for _, size in ledger.free())
        assert len(set(taken)) == len(taken) == 12 - free
        assert Ledger.from_json(json.loads(json.dumps(ledger.to_json()))) == ledger


def test_a_page_outside_is_refused() -> None:
    with SharedMemory(2 * PAGE_SIZE) as memory:
        memory.write(1, np.full((1, PAGE_SIZE), 7, np.uint8))
        assert memory.pages(np.array([1], np.uint64))[0, 0] == 7
        with pytest.raises(IndexError):
            memory.pages(np.array([2], np.uint64))
