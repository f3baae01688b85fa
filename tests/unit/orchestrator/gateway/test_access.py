"""Who is served: by token, or this machine's programs and not its browser's pages."""

from __future__ import annotations

import aiohttp
import pytest

from orchestrator.errors import SettingsError
from orchestrator.gateway.access import Access, is_loopback
from orchestrator.gateway.gateway import Gateway
from orchestrator.gateway.metrics import Metrics
from orchestrator.network import Reach
from orchestrator.platform.platform import Platform

TOKEN = "a token of some length"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example", False)),
    ],
)
def test_any_other_address_needs_a_token(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    Access(host, TOKEN)
    if loopback:
        Access(host, None)
    else:
        with pytest.raises(SettingsError, match="needs a token"):
            Access(host, None)


def test_a_short_token_is_refused() -> None:
    with pytest.raises(SettingsError, match="5 letters can be guessed"):
        Access("127.0.0.1", "short")


@pytest.mark.parametrize(
    ("token", "reach", "statuses"),
    [
        (None, None, (201, 201, 200)),
        (TOKEN, None, (403, 201, 200)),
        (TOKEN, Reach.ALL, (201, 201, 200)),
        (None, Reach.NONE, (403, 403, 201)),
    ],
)
async def test_who_deploys_by_http_does_not_give_everything(
    platform: Platform,
    metrics: Metrics,
    token: str | None,
    reach: Reach | None,
    statuses: tuple[int, int, int],
) -> None:
    """Who has the token may be anywhere: this machine's own services are not his to reach."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    code = "def main(args): return {}"
    async with (
        Gateway(platform, metrics, port=0, token=token, reach=reach) as gateway,
        aiohttp.ClientSession(gateway.url, headers=headers) as client,
    ):
        for form, status in (("host", statuses[0]), ("out", statuses[1])):
            place = {"host": "10.0.2.2:5432", "out": "example.org:443"}[form]
            body = {"code": code, "network": [place]}
            async with client.put(f"/functions/{form}", json=body) as answer:
                assert answer.status == status, await answer.text()
                if status == 403:
                    told = (await answer.json())["error"]["message"]
                    assert f"give {place} to a function" in told and "--reach" in told
            action = {
                "exec": {"kind": "python:3", "code": code},
                "annotations": [{"key": "network", "value": [place]}],
            }
            path = f"/api/v1/namespaces/_/actions/{form}?overwrite=true"
            async with client.put(path, json=action) as answer:
                assert answer.status == (403 if status == 403 else 200)
        async with client.put("/functions/out", json={"code": code}) as answer:
            assert answer.status == statuses[2]


async def test_with_a_token(platform: Platform, metrics: Metrics) -> None:
    async with (
        Gateway(platform, metrics, port=0, token=TOKEN) as gateway,
        aiohttp.ClientSession(gateway.url) as client,
    ):
        for path in ("/", "/healthz", "/openapi.json"):
            async with client.get(path) as answer:
                assert answer.status == 200
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": "Basic wrong"}, 401),
            ({"Authorization": aiohttp.encode_basic_auth("user", "wrong")}, 401),
            ({"Authorization": f"Bearer {TOKEN}"}, 200),
            ({"Authorization": f"bearer  {TOKEN}"}, 200),
            ({"Authorization": aiohttp.encode_basic_auth("user", TOKEN)}, 200),
        ):
            async with client.get("/functions", headers=headers) as answer:
                assert answer.status == status, headers
                if status == 401:
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                    assert "Bearer TOKEN" in (await answer.json())["error"]["message"]
        async with client.post("/functions/echo/invoke") as answer:
            assert answer.status == 401
        assert metrics.text().count(b"seuss_invocations_total{") == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 403),
        ({"Host": "rebound.example:8080"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Host": "["}, 403),
        ({"Host": "a]b"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
    ],
)
async def test_pages_from_elsewhere_cannot_ask_this_machine(
    client: aiohttp.ClientSession, headers: dict[str, str], status: int
) -> None:
    async with client.post("/functions/echo/invoke", headers=headers) as answer:
        assert answer.status == status
