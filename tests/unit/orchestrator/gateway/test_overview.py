"""Health, metrics, the description, snapshots, the page's head, and structured logs."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import aiohttp
import pytest
from openapi_spec_validator import validate

from orchestrator.errors import DatabaseError
from orchestrator.gateway.events import JsonLines
from orchestrator.gateway.gateway import Gateway
from orchestrator.platform.platform import Platform
from tests.unit.orchestrator.platform.fakes import until


async def test_the_description_is_valid_and_names_every_request(
    client: aiohttp.ClientSession, gateway: Gateway
) -> None:
    async with client.get("/openapi.json") as answer:
        told: dict[str, Any] = await answer.json()
    validate(told)
    described = {
        (method.upper(), path)
        for path, item in told["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert described == gateway.routes()
    operations = [
        operation["operationId"]
        for item in told["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(set(operations)) == len(operations)


async def test_healthy_until_the_functions_cannot_be_read(
    client: aiohttp.ClientSession, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client.get("/healthz") as answer:
        assert await answer.json() == {"status": "ok"}

    def fail() -> None:
        raise DatabaseError("Cannot read platform.db: disk I/O error.")

    monkeypatch.setattr(platform.registry, "names", fail)
    async with client.get("/healthz") as answer:
        assert answer.status == 500 and "disk I/O error" in await answer.text()


async def test_metrics_tell_paths_outcomes_and_fill(client: aiohttp.ClientSession) -> None:
    for args in ({}, {}, {"fail": "timeout"}, {"fail": "x" * 60}, {"fail": "y" * 60}):
        async with client.post("/functions/echo/invoke", json=args):
            pass
    async with client.post("/functions/echo/invoke", json={"die": 1}):
        pass
    async with client.get("/anything/at/all"):
        pass
    async with client.get("/metrics") as answer:
        text = await answer.text()
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
    labels = 'isolation="uc",outcome="{}",path="{}"'
    for outcome, path, count in (
        ("ok", "cold", 1),
        ("ok", "hot", 1),
        ("timeout", "hot", 1),
        ("other", "hot", 2),
        ("platform", "auto", 1),
    ):
        line = "seuss_invocations_total{" + labels.format(outcome, path) + "} " + f"{count:.1f}"
        assert line in text
    assert 'seuss_invocation_seconds_count{isolation="uc",path="hot"} 4.0' in text
    assert "seuss_gateway_overhead_seconds_count 5.0" in text
    assert 'seuss_http_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'seuss_running{isolation="uc"} 0.0' in text
    assert 'seuss_waiting{isolation="vm"} 0.0' in text


async def test_status_and_snapshots(client: aiohttp.ClientSession) -> None:
    async with client.post("/functions/echo/invoke", json={}):
        pass
    async with client.get("/status") as answer:
        told = await answer.json()
    assert told["policies"]["queue"] == 1
    assert told["dispatchers"] == [
        {
            **{"isolation": "uc", "memory_mib": 512, "runtime": "python", "network": False},
            "accelerator": "fake",
        }
    ]
    async with client.get("/snapshots") as answer:
        assert await answer.json() == {"snapshots": []}


async def test_the_page_loads_nothing_from_elsewhere(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    nonces = set(re.findall(r"nonce-([\w-]+)", policy))
    assert len(nonces) == 1 and "default-src 'none'" in policy
    assert set(re.findall(r'nonce="([\w-]+)"', text)) == nonces
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)""", text)
    async with client.get("/") as answer:
        assert nonces.isdisjoint(re.findall(r'nonce="([\w-]+)"', await answer.text()))


async def test_what_is_not_offered(client: aiohttp.ClientSession) -> None:
    async with client.get("/absent") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["kind"] == "not-found"
    async with client.patch("/functions/echo") as answer:
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(",")) == {"DELETE", "GET", "PUT"}


async def test_a_fault_of_the_gateway_is_told_with_a_mark(
    client: aiohttp.ClientSession,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(platform.registry, "names", fail)
    async with client.get("/healthz") as answer:
        text = await answer.text()
        assert answer.status == 500 and "secret" not in text
    (mark,) = re.findall(r"\b[0-9a-f]{32}\b", text)
    assert mark in caplog.text and "secret detail" in caplog.text


async def test_each_invocation_is_one_line_with_its_id(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client.post("/functions/echo/invoke", json={}) as answer:
        id = answer.headers["X-Seuss-Invocation"]
        await answer.read()
    await until(lambda: "request" in caplog.messages)
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    (line,) = (line for line in lines if line["event"] == "request")
    assert (line["invocation"], line["status"]) == (id, 200)
    assert (line["method"], line["route"]) == ("POST", "/functions/{name}/invoke")
    assert line["level"] == "info" and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", line["time"])


def test_a_record_stays_on_its_line() -> None:
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "two\nlines %s", ("x",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "two\nlines x"
