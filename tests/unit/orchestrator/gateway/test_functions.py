"""Functions and invocations by the gateway's own REST."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from typing import Any

import aiohttp
import pytest

from orchestrator.platform.platform import Platform
from tests.unit.orchestrator.platform.fakes import Fakes, echo, until

CODE = "def main(args): return args"


async def test_deployed_listed_shown_deleted(client: aiohttp.ClientSession) -> None:
    async with client.put("/functions/f", json={"code": CODE, "timeout_s": 5}) as answer:
        told = await answer.json()
        assert (answer.status, told["name"], told["version"]) == (201, "f", 1)
        assert (told["isolation"], told["timeout_s"]) == ("uc", 5.0)
    async with client.put("/functions/f", json={"code": CODE + " "}) as answer:
        again = await answer.json()
        assert (answer.status, again["version"]) == (200, 2) and again["id"] != told["id"]
    async with client.get("/functions") as answer:
        assert [each["name"] for each in (await answer.json())["functions"]] == ["echo", "f"]
    async with client.get("/functions/f") as answer:
        assert await answer.json() == again
    async with client.get("/functions/f?code=true") as answer:
        assert (await answer.json())["code"] == CODE + " "
    async with client.delete("/functions/f") as answer:
        assert (answer.status, await answer.read()) == (204, b"")
    async with client.get("/functions/f") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["kind"] == "unknown-function"


async def test_deployed_as_a_file(client: aiohttp.ClientSession) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", CODE)
    for body, kind, form in (
        (CODE.encode(), "text/x-python", "source"),
        (packed.getvalue(), "application/zip", "zip"),
    ):
        async with client.put(
            "/functions/a%20b?main=go&isolation=vm&memory_mib=256&timeout_s=2.5",
            data=body,
            headers={"Content-Type": kind},
        ) as answer:
            told = await answer.json()
            assert answer.status in (200, 201), told
            assert (told["name"], told["format"], told["main"]) == ("a b", form, "go")
            assert (told["isolation"], told["memory_mib"], told["timeout_s"]) == ("vm", 256, 2.5)
    async with client.get("/functions/a%20b?code=true") as answer:
        assert base64.b64decode((await answer.json())["code"]) == packed.getvalue()


async def test_deployed_with_places_to_reach(
    client: aiohttp.ClientSession, platform: Platform, fakes: Fakes
) -> None:
    places = ["10.0.2.2:8080", "example.org:443"]
    body = {"code": CODE, "network": ["Example.org:443", *places]}
    async with client.put("/functions/f", json=body) as answer:
        told = await answer.json()
        assert (answer.status, told["network"]) == (201, places)
    async with client.put(
        "/functions/g?network=example.org:443&network=10.0.2.2:8080",
        data=CODE,
        headers={"Content-Type": "text/x-python"},
    ) as answer:
        assert (await answer.json())["id"] == told["id"]
    async with client.put("/functions/h", json={"code": CODE}) as answer:
        again = await answer.json()
        assert again["network"] == [] and again["id"] != told["id"]
    # Those that reach nothing are on machines without a card.
    for name, cards in (("h", [False]), ("f", [False, True]), ("g", [False, True])):
        async with client.post(f"/functions/{name}/invoke", json={}) as answer:
            assert answer.status == 200
        assert [each.settings.network for each in fakes.made] == cards
    assert fakes.made[1].functions[-1].network == tuple(places)
    async with client.get("/status") as answer:
        running = (await answer.json())["dispatchers"]
        assert [each["network"] for each in running] == [False, True]


@pytest.mark.parametrize(
    ("name", "body", "status", "told"),
    [
        ("f", {}, 400, "the code is missing"),
        ("f", {"code": 7}, 400, "the code is missing"),
        ("f", {"code": CODE, "colour": 1}, 400, "there is no 'colour' to choose"),
        ("f", {"code": CODE, "timeout_s": "soon"}, 400, "timeout_s is 'soon'"),
        ("f", {"code": CODE, "timeout_s": True}, 400, "timeout_s is 'True'"),
        ("f", {"code": CODE, "timeout_s": 1e9}, 400, "A timeout of"),
        ("f", {"code": CODE, "memory_mib": 1.5}, 400, "memory_mib is '1.5'"),
        ("f", {"code": CODE, "memory_mib": 256}, 400, "Leave the memory out"),
        ("f", {"code": CODE, "main": "a b"}, 400, "cannot be the name"),
        ("f", {"code": CODE, "format": "tar"}, 400, "the format 'tar' does not exist"),
        ("f", {"code": "!", "format": "zip"}, 400, "is not base64"),
        ("f", {"code": "AAAA", "format": "zip"}, 400, "this is no zip file"),
        ("-f", {"code": CODE}, 400, "can be no function's name"),
        ("..%2fup", {"code": CODE}, 400, "can be no function's name"),
        ("f", {"code": CODE, "network": "example.org:443"}, 400, "Give it as list"),
        ("f", {"code": CODE, "network": [443]}, 400, "a place in network is '443'"),
        ("f", {"code": CODE, "network": ["example.org"]}, 400, "it has no port. Write HOST:PORT"),
        ("f", {"code": CODE, "network": ["a:1"] * 2 + ["b:0"]}, 400, "'b:0' cannot be opened"),
        ("f", {"code": CODE, "network": [f"a:{n}" for n in range(1, 66)]}, 400, "64 places"),
        ("f", [1], 400, "no object"),
    ],
)
async def test_what_cannot_be_deployed(
    client: aiohttp.ClientSession, name: str, body: Any, status: int, told: str
) -> None:
    async with client.put(f"/functions/{name}", json=body) as answer:
        assert answer.status == status
        assert told in (await answer.json())["error"]["message"]


async def test_new_refuses_to_replace(client: aiohttp.ClientSession) -> None:
    for status in (201, 409):
        async with client.put("/functions/f?new=true", json={"code": CODE}) as answer:
            assert answer.status == status
    async with client.put("/functions/f?new=perhaps", json={"code": CODE}) as answer:
        assert answer.status == 400


async def test_an_answer_has_path_times_output_and_id(client: aiohttp.ClientSession) -> None:
    async with client.post(
        "/functions/echo/invoke?timeout_s=3", json={"n": 1, "print": "said"}
    ) as answer:
        told = await answer.json()
        assert answer.status == 200
        assert told["result"] == {"args": {"n": 1, "print": "said"}, "timeout_s": 3.0}
        assert (told["path"], told["stdout"], told["isolation"]) == ("cold", "said", "uc")
        assert told["latency_ms"] == 1.5 and told["phases"]["run"] == 1.0
        assert told["waited_ms"] >= 0
        assert answer.headers["X-Seuss-Invocation"] == told["id"]
    async with client.get(f"/invocations/{told['id']}") as answer:
        logged = await answer.json()
        assert logged == {name: value for name, value in told.items() if name != "waited_ms"}
    async with client.post("/functions/echo/invoke?path=booted") as answer:
        assert (await answer.json())["path"] == "booted"
    async with client.get("/invocations?function=echo&limit=1") as answer:
        (last,) = (await answer.json())["invocations"]
        assert last["path"] == "booted"
    async with client.get(f"/invocations?after={last['serial']}") as answer:
        assert (await answer.json())["invocations"] == []
    async with client.get("/invocations/absent") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("kind", "status"),
    [("exception", 502), ("timeout", 502), ("bad-request", 400), ("args-too-large", 413)],
)
async def test_a_failed_function_is_an_answer(
    client: aiohttp.ClientSession, kind: str, status: int
) -> None:
    async with client.post("/functions/echo/invoke", json={"fail": kind}) as answer:
        told = await answer.json()
        assert (answer.status, told["error"]["kind"]) == (status, kind)
        assert told["error"]["traceback"] == "Traceback: here" and "result" not in told


async def test_a_platform_failure_is_its_callers_alone(client: aiohttp.ClientSession) -> None:
    async with client.post("/functions/echo/invoke", json={"die": 1}) as answer:
        text = await answer.text()
        assert answer.status == 500 and "Try again" in text and "last words" not in text
    async with client.post("/functions/echo/invoke", json={}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("query", "body", "told"),
    [
        ("?path=frozen", b"{}", "There is no path 'frozen'"),
        ("?timeout_s=never", b"{}", "timeout_s is 'never'"),
        ("?timeout_s=0", b"{}", "A timeout of 0.0 s"),
        ("?timeout_s=nan", b"{}", "timeout_s is 'nan'"),
        ("", b"{", "no JSON"),
        ("", b"[1]", "no object"),
        ("", b'{"n": NaN}', "NaN is not JSON"),
        ("", b"\xff", "no JSON"),
        ("", b"[" * 100_000, "no JSON"),
    ],
)
async def test_requests_that_make_no_sense(
    client: aiohttp.ClientSession, query: str, body: bytes, told: str
) -> None:
    async with client.post(f"/functions/echo/invoke{query}", data=body) as answer:
        assert answer.status == 400
        assert told in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/invocations?after=1e300", "after"),
        ("/invocations?limit=-1e19", "limit"),
        ("/api/v1/namespaces/_/activations?skip=1e19", "skip"),
    ],
)
async def test_numbers_beyond_all_counts(
    client: aiohttp.ClientSession, path: str, name: str
) -> None:
    async with client.get(path) as answer:
        assert answer.status == 400
        assert f"{name} is " in await answer.text()


async def test_too_much_is_refused_with_when_to_come_again(
    client: aiohttp.ClientSession, platform: Platform, fakes: Fakes
) -> None:
    async def call(args: dict[str, Any]) -> int:
        async with client.post("/functions/echo/invoke", json=args) as answer:
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                assert (await answer.json())["error"]["kind"] == "busy"
            return answer.status

    await call({})
    calls = [asyncio.create_task(call({"wait": 1})) for _ in range(3)]
    await until(lambda: platform.fill()["uc"] == {"running": 2, "waiting": 1})
    assert await call({}) == 429
    fakes.of("uc").go.set()
    assert await asyncio.gather(*calls) == [200] * 3


async def test_a_full_node_is_no_failure_of_the_function(client: aiohttp.ClientSession) -> None:
    async with client.post("/functions/echo/invoke", json={"full": 1}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
        told = (await answer.json())["error"]
    assert told == {"kind": "busy", "message": "echo waited too long for memory of the node."}


async def test_a_client_that_goes_away_ends_its_invocation(
    client: aiohttp.ClientSession, platform: Platform, fakes: Fakes
) -> None:
    call = asyncio.create_task(client.post("/functions/echo/invoke", json={"wait": 1}))
    await until(lambda: any(fake.running for fake in fakes.made))
    call.cancel()
    await until(lambda: platform.fill()["uc"]["running"] == 0)
    assert fakes.of("uc").cancelled == 1
    await platform.write_log()
    ((_, record),) = platform.log.list()
    assert record["error"]["kind"] == "cancelled"


async def test_many_functions_at_once(client: aiohttp.ClientSession, platform: Platform) -> None:
    for number in range(20):
        platform.registry.put(echo(f"f{number}"))

    async def call(number: int) -> None:
        while True:
            async with client.post(f"/functions/f{number}/invoke", json={"n": number}) as answer:
                told = await answer.json()
                if answer.status != 429:
                    assert told["result"]["args"] == {"n": number}
                    assert told["function"] == f"f{number}"
                    return
            await asyncio.sleep(0.01)

    await asyncio.gather(*(call(number % 20) for number in range(60)))


async def test_answers_are_data_for_browsers_too(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/functions", "/absent"):
        async with client.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_brief_list_has_no_results(client: aiohttp.ClientSession) -> None:
    async with client.post("/functions/echo/invoke", json={"text": "x" * 1000}) as answer:
        told = await answer.json()
    async with client.get("/invocations") as answer:
        (full,) = (await answer.json())["invocations"]
    async with client.get("/invocations?brief=true") as answer:
        (brief,) = (await answer.json())["invocations"]
    assert full["result"] == told["result"] and full["id"] == brief["id"] == told["id"]
    assert "result" not in brief and brief["error_kind"] is None
    assert brief["latency_ms"] == told["latency_ms"]
