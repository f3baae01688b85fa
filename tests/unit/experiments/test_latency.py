"""The experiment's plan: what a round measures and in which order; what a store occupies."""

from __future__ import annotations

import os
import pathlib
from collections import Counter

from experiments.latency import OTHERS, cells, occupied, order, times
from experiments.workloads import ALL, JAVASCRIPT, NOP, WORKLOADS


def test_every_round_measures_every_cell() -> None:
    for number in range(3):
        assert Counter(order(5, number)) == {cell: times(cell) for cell in cells()}


def test_cells_are_all_functions_on_all_paths() -> None:
    ways = {"process", "booted", "cold", "cold, no AO", "warm", "warm, no AO"}
    ways |= {"cold (uc)", "warm (uc)", "hot (uc)"}
    for workload in WORKLOADS:
        found = {cell.way for cell in cells() if cell.function == workload.name}
        assert found == (ways | {*OTHERS} if workload is NOP else ways)
    for workload in JAVASCRIPT:
        found = {cell.way for cell in cells() if cell.function == workload.name}
        assert found == ways - {"process", "cold, no AO", "warm, no AO"}


def test_order_follows_the_seed() -> None:
    assert order(5, 1) == order(5, 1)
    assert len({tuple(order(seed, number)) for seed in range(3) for number in range(3)}) == 9


def test_variants_are_functions_of_their_own() -> None:
    for workload in ALL:
        ids = {workload.function().id, workload.variant("1").id, workload.variant("2").id}
        assert len(ids) == 3


def test_occupied_counts_blocks_and_links_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "below").mkdir()
    path = tmp_path / "below" / "file"
    path.write_bytes(b"x" * 10_000)
    alone = occupied(tmp_path)
    assert alone == path.stat().st_blocks * 512
    os.link(path, tmp_path / "again")
    assert occupied(tmp_path) == alone


def test_sparse_file_occupies_nothing(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(50 << 20)
    assert occupied(tmp_path) < 1 << 20
