"""`seuss serve` with real QEMU: deploy, invoke on both isolations, logs, and its end."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.integration.calling_out import HOST, Server, document
from tests.integration.conftest import BUILD

CODE = """
import os
loaded = os.urandom(4).hex()

def main(args):
    print("called with", sorted(args))
    if args.get("fail"):
        raise ValueError(args["fail"])
    return {"n": args.get("n", 0) + 1, "loaded": loaded}
"""
FETCH = """
import urllib.request

def main(args):
    with urllib.request.urlopen(args["url"], timeout=20) as answer:
        return {"length": len(answer.read())}
"""
START_S = 120


@pytest.fixture
async def served(tmp_path: pathlib.Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Address and process of a gateway with a store of its own."""
    environment = os.environ | {"SEUSS_STORE": str(tmp_path / "store")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from orchestrator.cli import main; main(prog_name='seuss')"),
        *("serve", "--port", "0", "--accelerator", "tcg", "--memory", "192", "--pool", "1"),
        *("--image", str(BUILD / "ebbrt-python.elf")),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("serving on "), line
    yield line.removeprefix("serving on ").strip(), process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_functions_by_http_on_both_isolations(
    served: tuple[str, asyncio.subprocess.Process],
) -> None:
    url, process = served
    async with aiohttp.ClientSession(url) as client:
        for name, isolation in (("context", "uc"), ("machine", "vm")):
            async with client.put(
                f"/functions/{name}", json={"code": CODE, "isolation": isolation}
            ) as answer:
                assert answer.status == 201

        async def invoke(name: str, args: dict[str, Any]) -> dict[str, Any]:
            async with client.post(f"/functions/{name}/invoke", json=args) as answer:
                told: dict[str, Any] = await answer.json()
                return told | {"status": answer.status}

        # First calls that come together import once.
        for name, isolation in (("context", "uc"), ("machine", "vm")):
            together = await asyncio.gather(*(invoke(name, {"n": n}) for n in range(4)))
            assert [told["result"]["n"] for told in together] == [1, 2, 3, 4]
            assert sorted(told["path"] for told in together).count("cold") == 1
            assert len({told["result"]["loaded"] for told in together}) == 1
            assert {told["isolation"] for told in together} == {isolation}
            assert together[0]["stdout"] == "called with ['n']\n"
        failed = await invoke("context", {"fail": "no luck"})
        assert failed["status"] == 502 and "ValueError: no luck" in failed["error"]["traceback"]
        async with client.post(
            "/api/v1/namespaces/_/actions/context?blocking=true&result=true", json={"n": 41}
        ) as answer:
            assert (await answer.json())["n"] == 42
        async with client.get("/snapshots") as answer:
            trees = (await answer.json())["snapshots"]
        assert {tree["isolation"] for tree in trees} == {"uc", "vm"}
        async with client.get("/invocations?function=context") as answer:
            logged = (await answer.json())["invocations"]
        assert len(logged) == 6 and logged[-2]["id"] == failed["id"]
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        assert await process.wait() == 143


async def test_functions_reach_what_they_were_deployed_with(
    served: tuple[str, asyncio.subprocess.Process],
) -> None:
    url, _ = served
    there = Server(0)
    listening = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.port = listening.sockets[0].getsockname()[1]
    place = f"{HOST}:{there.port}"
    action = {
        "exec": {"kind": "python:3", "code": FETCH},
        "annotations": [{"key": "network", "value": [place]}],
    }
    async with listening, aiohttp.ClientSession(url) as client:
        for path, body in (
            ("/functions/may", {"code": FETCH, "network": [place]}),
            ("/functions/may-not", {"code": FETCH}),
            ("/functions/elsewhere", {"code": FETCH, "network": ["192.0.2.1:80"]}),
            ("/api/v1/namespaces/_/actions/action", action),
        ):
            async with client.put(path, json=body) as answer:
                assert answer.status in (200, 201), await answer.text()
        refused = f"this function may not reach {place}. Only what was given with --network"
        for name, told_error in (
            ("may", None),
            ("may-not", "urlopen error"),
            ("elsewhere", refused),
            ("action", None),
            ("may", None),
        ):
            async with client.post(
                f"/functions/{name}/invoke", json={"url": f"http://{place}/3"}
            ) as answer:
                told = await answer.json()
            if told_error is None:
                assert told["result"] == {"length": len(document("/3"))}, told
            else:
                assert answer.status == 502 and told_error in told["error"]["traceback"], told
    assert there.answered == 3
