"""A gateway over a platform on fake dispatchers, and a client of it."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from orchestrator.gateway.bodies import Bodies
from orchestrator.gateway.gateway import Gateway
from orchestrator.gateway.metrics import Metrics
from orchestrator.platform.platform import Platform
from orchestrator.platform.policies import Policies
from tests.unit.orchestrator.platform.fakes import Fakes, echo, fake_settings


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def platform(
    tmp_path: pathlib.Path, fakes: Fakes, metrics: Metrics
) -> AsyncIterator[Platform]:
    policies = Policies(contexts=2, machines=1, queue=1)
    async with Platform(
        fake_settings(tmp_path), policies, make=fakes.make, listener=metrics.invocation
    ) as running:
        running.registry.put(echo())
        yield running


@pytest.fixture
def body_deadline_s() -> float:
    """How long a body may take; short, for tests of bodies that take longer."""
    return 0.5


@pytest.fixture
async def gateway(
    platform: Platform, metrics: Metrics, body_deadline_s: float
) -> AsyncIterator[Gateway]:
    """A gateway on loopback without a token; small bodies, short deadlines."""
    bodies = Bodies(memory=40 << 20, deadline_s=body_deadline_s)
    async with Gateway(
        platform, metrics, port=0, bodies=bodies, idle_s=0.5, most_connections=4
    ) as running:
        yield running


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session
