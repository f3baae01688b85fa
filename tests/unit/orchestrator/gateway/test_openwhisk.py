"""What a client of OpenWhisk asks, and what it must get."""

from __future__ import annotations

import aiohttp
import pytest

from orchestrator.gateway.gateway import Gateway

ROOT = "/api/v1/namespaces/_"
ACTION = {
    "namespace": "_",
    "name": "hi",
    "exec": {"kind": "python:3", "code": "def main(args): return args"},
    "limits": {"timeout": 2000},
}


async def test_an_action_is_made_invoked_and_forgotten(client: aiohttp.ClientSession) -> None:
    async with client.put(f"{ROOT}/actions/hi", json=ACTION) as answer:
        made = await answer.json()
        assert answer.status == 200
        assert (made["name"], made["version"], made["limits"]) == ("hi", "0.0.1", {"timeout": 2000})
    async with client.put(f"{ROOT}/actions/hi?overwrite=false", json=ACTION) as answer:
        assert answer.status == 409 and "is there already" in (await answer.json())["error"]
    async with client.put(f"{ROOT}/actions/hi?overwrite=true", json=ACTION) as answer:
        assert (await answer.json())["version"] == "0.0.2"
    async with client.post(f"{ROOT}/actions/hi?blocking=true&result=true", json={"n": 1}) as answer:
        assert answer.status == 200
        assert await answer.json() == {"args": {"n": 1}, "timeout_s": 2.0}
        id = answer.headers["X-OpenWhisk-Activation-Id"]
    async with client.get(f"{ROOT}/activations/{id}") as answer:
        record = await answer.json()
        assert record["activationId"] == id and record["response"]["success"]
        assert record["response"]["result"]["args"] == {"n": 1}
    async with client.get(f"{ROOT}/actions") as answer:
        assert [action["name"] for action in await answer.json()] == ["echo", "hi"]
    async with client.get(f"{ROOT}/actions/hi") as answer:
        assert (await answer.json())["exec"]["code"] == ACTION["exec"]["code"]  # type: ignore[index]
    async with client.get(f"{ROOT}/actions/hi?code=false") as answer:
        assert "code" not in (await answer.json())["exec"]
    async with client.delete(f"{ROOT}/actions/hi") as answer:
        assert answer.status == 200
    async with client.post(f"{ROOT}/actions/hi?blocking=true") as answer:
        assert answer.status == 404
        assert set(await answer.json()) == {"error", "code"}


async def test_an_action_with_places_to_reach(client: aiohttp.ClientSession) -> None:
    network = {"key": "network", "value": ["example.org:443"]}
    wanted = ACTION | {"annotations": [{"key": "final", "value": True}, network]}
    async with client.put(f"{ROOT}/actions/hi", json=wanted) as answer:
        assert network in (await answer.json())["annotations"]
    async with client.get("/functions/hi") as answer:
        assert (await answer.json())["network"] == network["value"]
    async with client.get(f"{ROOT}/actions/echo") as answer:
        assert [each["key"] for each in (await answer.json())["annotations"]] == ["isolation"]


async def test_a_whole_activation_and_a_failed_one(client: aiohttp.ClientSession) -> None:
    async with client.post(f"{ROOT}/actions/echo?blocking=true", json={"print": "a\nb"}) as answer:
        record = await answer.json()
        assert answer.status == 200
        assert record["logs"] == ["stdout: a", "stdout: b"]
        assert record["response"]["status"] == "success" and record["end"] >= record["start"]
    async with client.post(f"{ROOT}/actions/echo?blocking=true", json={"fail": "exit"}) as answer:
        record = await answer.json()
        assert answer.status == 502
        assert record["response"]["status"] == "application error"
    query = "?blocking=true&result=true"
    async with client.post(f"{ROOT}/actions/echo{query}", json={"fail": "no-main"}) as answer:
        assert answer.status == 502
        assert await answer.json() == {"error": "no-main: it was asked for"}
    async with client.get(f"{ROOT}/activations?limit=2") as answer:
        statuses = [each["response"]["statusCode"] for each in await answer.json()]
        assert statuses == [2, 1]
    async with client.get(f"{ROOT}/activations?limit=1&skip=2&name=echo") as answer:
        assert [each["response"]["statusCode"] for each in await answer.json()] == [0]


async def test_nobody_waits_for_an_activation(client: aiohttp.ClientSession) -> None:
    async with client.post(f"{ROOT}/actions/echo", json={"print": "late"}) as answer:
        assert answer.status == 202
        id = (await answer.json())["activationId"]
    for part, told in (("logs", ["stdout: late"]), ("result", True)):
        async with client.get(f"{ROOT}/activations/{id}/{part}") as answer:
            record = await answer.json()
            assert record["logs" if part == "logs" else "success"] == told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exec": {"kind": "cobol", "code": "x"}}, "the kind 'cobol' does not exist"),
        ({"exec": None}, "has no exec"),
        ({"exec": {"kind": "python:3"}}, "the code is missing"),
        ({"annotations": {"network": []}}, 'Send each as {"key": "network"'),
        ({"annotations": [{"key": "network", "value": ["a"]}]}, "it has no port"),
        ({"annotations": [{"key": "network", "value": "a:1"}]}, "Give it as list"),
        ({"limits": {"memory": 7}}, "7 MiB is not offered"),
        ({"limits": {"timeout": 0}}, "A timeout of 0.0 s"),
        ({"limits": {"timeout": "long"}}, "limits.timeout is 'long'"),
        ({"limits": {"timeout": 10**400}}, "limits.timeout is '1000"),
    ],
)
async def test_actions_that_cannot_be(
    client: aiohttp.ClientSession, change: dict[str, object], told: str
) -> None:
    async with client.put(f"{ROOT}/actions/hi", json=ACTION | change) as answer:
        assert answer.status == 400
        assert told in (await answer.json())["error"]


async def test_only_ones_own_namespace(client: aiohttp.ClientSession, gateway: Gateway) -> None:
    async with client.get("/api/v1/namespaces/guest/actions") as answer:
        assert answer.status == 200
    async with client.get("/api/v1/namespaces/whisk.system/actions") as answer:
        assert answer.status == 404
        assert "'whisk.system'" in (await answer.json())["error"]
