"""A platform on fake dispatchers, and its parts."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest

from orchestrator.platform.database import Database
from orchestrator.platform.platform import Platform
from orchestrator.platform.policies import Policies
from tests.unit.orchestrator.platform.fakes import Fakes, echo, fake_settings


@pytest.fixture
def database(tmp_path: pathlib.Path) -> Iterator[Database]:
    with Database(tmp_path) as opened:
        yield opened


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def platform(tmp_path: pathlib.Path, fakes: Fakes) -> AsyncIterator[Platform]:
    """A platform with echo (isolation uc) and echo-vm deployed; two and one may run, one waits."""
    policies = Policies(contexts=2, machines=1, queue=1)
    async with Platform(fake_settings(tmp_path), policies, make=fakes.make) as running:
        running.registry.put(echo())
        running.registry.put(echo("echo-vm", isolation="vm"))
        yield running
