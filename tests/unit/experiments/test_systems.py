"""What a SEUSS node has beside pools that have the whole host."""

from __future__ import annotations

import os

import pytest

from experiments.systems import node_settings
from orchestrator.settings import MAX_CORES, Settings


@pytest.mark.parametrize(("host", "guest"), [(1, 1), (3, 3), (64, MAX_CORES)])
def test_a_node_has_the_hosts_processors(
    monkeypatch: pytest.MonkeyPatch, host: int, guest: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(host)))
    assert node_settings(Settings(), 512).cores == guest


@pytest.mark.parametrize(("asked", "given"), [(128, 512), (2048, 2048)])
def test_a_node_has_at_least_so_much_memory(asked: int, given: int) -> None:
    node = node_settings(Settings(memory_mib=asked), 512)
    assert (node.isolation, node.memory_mib) == ("uc", given)
