"""The region that nodes share, and where guests see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RestoreError
from orchestrator.machines.accelerator import TCG_CPU, Accelerator
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.machines.shared_memory import SharedMemory
from orchestrator.settings import Machine
from orchestrator.uc.shared_region import ZERO_FRAME, SharedRegion, file_pages, physical_address
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
    assert region.place("a", page_set(9, 9, 9)) is first
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
        assert again.result() is placed[0]
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
    [("microvm", 512, True), ("microvm", 3000, False), ("q35", 1900, True), ("q35", 4096, True)],
)
def test_a_region_must_not_be_split(machine: Machine, mib: int, fits: bool) -> None:
    region = SharedRegion()
    hardware = Hardware(TCG, machine, mib)
    assert region.fits(hardware) is fits
    if mib == 512:
        assert region.option(hardware) == f"seuss.shared={512 * MIB}@{256 * MIB}"
    region.close()


def test_a_page_outside_is_refused() -> None:
    with SharedMemory(2 * PAGE_SIZE) as memory:
        memory.write(1, np.full((1, PAGE_SIZE), 7, np.uint8))
        assert memory.pages(np.array([1], np.uint64))[0, 0] == 7
        with pytest.raises(IndexError):
            memory.pages(np.array([2], np.uint64))
