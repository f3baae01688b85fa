"""The density experiment's record, report and plot."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from typing import cast

import pytest

from experiments import density, density_report
from experiments.crowds import Crowd
from experiments.density import Density, Point
from experiments.plots import density as density_plot
from orchestrator.machines.accelerator import Accelerator
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.uc.node import UcNode

TCG = Accelerator("tcg", "max", "TCG, for tests.", {})


@pytest.fixture
def record() -> Density:
    """A run in which every promise is kept."""
    return Density(
        environment={"accelerator": "tcg", "started": 1.7e9},
        seed=3,
        node_mib=512,
        free_before=100_000,
        free_after=20_000,
        points=[Point(500, 1.5, 60_000), Point(1000, 4.0, 20_000)],
        deploy_ns=[20_000] * 1000,
        sized={"2": [20_000, 21_000], "200": [22_000, 23_000]},
        stopped_by="1/50 of the memory left",
        asked=10,
        right=10,
        free_end=19_800,
        node_bytes=256 * MIB,
        crowds=[
            Crowd("process", 2, 2.0, [30.0, 50.0, 40.0, 60.0], 15 * MIB, MIB, []),
            Crowd("podman", 2, 1.0, [300.0, 500.0], 18 * MIB, 2 * MIB, []),
        ],
        unavailable={"crun": "There is no crun."},
    )


def test_figures_follow_from_the_points(record: Density) -> None:
    assert (record.contexts, record.frames_each, record.rate) == (1000, 80.0, 250.0)
    empty = replace(record, points=[])
    assert (empty.contexts, empty.frames_each, empty.rate) == (0, None, None)


def test_verdicts(record: Density) -> None:
    assert [item.passed for item in density_report.check(record)] == [True] * 6 + [None]
    bad = replace(
        record,
        free_after=-1000,
        right=9,
        deploy_ns=[200_000],
        sized={"2": [1], "200": [2]},
        node_bytes=1024 * MIB,
    )
    assert [item.passed for item in density_report.check(bad)] == [False] * 6 + [None]
    missing = replace(record, points=[], deploy_ns=[], asked=0, sized={}, node_bytes=0)
    assert [item.passed for item in density_report.check(missing)] == [None] * 7


def test_report_puts_the_papers_figures_beside(record: Density) -> None:
    text = density_report.render(record)
    assert "| creation rate, SEUSS UC | 250 instances/s | 128.6 instances/s | 1 | 1 |" in text
    assert "| cache density, Linux process | 256 per GiB | 4200 instances | 15.6 | 12.9 |" in text
    assert "does not run here: There is no crun." in text
    assert "| frames more after a first request | 20.0 |" in text
    assert "FAIL" not in text and "What did not work" not in text
    broken = density_report.render(replace(record, right=9, wrong=["context 7: fault"]))
    assert "**FAIL**" in broken and "context 7: fault" in broken
    assert "not measured" in density_report.render(replace(record, points=[], asked=0))


def test_record_survives_the_disk(record: Density, tmp_path: pathlib.Path) -> None:
    record.save(tmp_path)
    assert Density.load(tmp_path) == record
    assert (tmp_path / "density.csv").read_text().splitlines()[1] == "500,1.500,60000"
    (tmp_path / "density.json").write_text('{"experiment": "latency", "format": 1}')
    with pytest.raises(ValueError, match="no record of the density experiment"):
        Density.load(tmp_path)


def test_plot_is_drawn(record: Density, tmp_path: pathlib.Path) -> None:
    for path in density_plot.draw(record, tmp_path):
        assert path.stat().st_size > 1000


class LateNode:
    """Deploys at once, but of the UCs begun only a few take their frames between two looks."""

    FRAMES = 17
    QUICK = 100

    def __init__(self, memory: int) -> None:
        self.hardware = Hardware(TCG, memory_mib=memory // MIB)
        self.free = memory // 4096
        self.deployed = self.idle = 0

    async def deploy(self, snapshot: int) -> tuple[int, int]:
        self.deployed += 1
        return self.deployed, 20_000

    async def free_frames(self) -> int:
        started = min(self.QUICK, self.deployed - self.idle)
        self.idle += started
        self.free -= started * self.FRAMES
        return self.free


@pytest.mark.parametrize(("mib", "most"), [(128, 0), (1024, 0), (1024, 300)])
async def test_memory_is_left_though_contexts_take_theirs_late(
    record: Density, monkeypatch: pytest.MonkeyPatch, mib: int, most: int
) -> None:
    monkeypatch.setattr(density, "SETTLED_S", 0)
    node = LateNode(mib * MIB)
    empty = replace(record, points=[], stopped_by="", free_before=node.free)
    contexts = await density.fill(cast(UcNode, node), 1, most, empty, lambda what, done, all: None)
    spare = max(mib * MIB // 4096 // density.SPARE_PART, density.LEAST_SPARE)
    assert node.idle == node.deployed == len(contexts) == empty.contexts
    assert empty.free_after == node.free
    if most:
        assert (len(contexts), empty.stopped_by) == (most, "as many as asked for")
    else:
        assert spare - node.FRAMES <= node.free <= spare
