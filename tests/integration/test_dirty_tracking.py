"""What a function's import wrote in a context: the node's own walk must find all of it."""

from __future__ import annotations

import pathlib

from experiments import dirty_sets
from experiments.dirty_record import BITMAP, BYTES, PAGEMAP, WALK
from experiments.dirty_tracking import bench
from experiments.workloads import NOP
from orchestrator.anticipation import Anticipation
from orchestrator.settings import Settings
from tests.integration.conftest import BUILD
from tests.integration.guests import holdings


async def test_walk_covers_the_byte_difference(tmp_path: pathlib.Path) -> None:
    before = holdings()
    settings = Settings(
        image=BUILD / "ebbrt-python.elf", store=tmp_path, accelerator="tcg", ao=Anticipation.NONE
    )
    async with bench(settings) as ready:
        sample = await ready.measure(NOP, 0)
    assert holdings() == before
    changed = sample.found(BYTES)
    # Importing a function writes dozens of pages at least: the context was found in the dump.
    assert len(changed & dirty_sets.from_runs(sample.mapped)) > 50
    assert not sample.missed()
    assert not sample.harmed
    assert sample.strange == 0
    assert changed <= sample.found(BITMAP)
    assert changed <= sample.found(PAGEMAP)
    # The walk names the context's pages only; the others see the whole node.
    assert sample.found(WALK) < sample.found(BITMAP)
