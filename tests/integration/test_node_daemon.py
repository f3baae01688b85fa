"""A node in the background: its life, its clients, and its death."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.errors import NodeError
from orchestrator.function import Function
from orchestrator.nodes import client as node_client
from orchestrator.nodes.client import NodeClient, running_node
from orchestrator.nodes.places import place
from orchestrator.paths import Path
from orchestrator.settings import Settings
from tests.integration.conftest import BUILD
from tests.integration.guests import region_kib

ECHO = Function("echo", "source", b"def main(args):\n    print('said')\n    return args")
NAME = "tested"


@pytest.fixture
def settings(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SEUSS_RUNTIME", str(tmp_path / "run"))
    return Settings(
        image=BUILD / "ebbrt-python.elf",
        store=tmp_path / "store",
        accelerator="tcg",
        isolation="uc",
        memory_mib=192,
    )


def gone(condition: Callable[[], bool]) -> bool:
    """Wait for what takes a moment; return whether it came."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def runs(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def childless() -> bool:
    """Reap what has ended; whether no child of this process is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


@pytest.fixture(autouse=True)
def reaped() -> Iterator[None]:
    """Daemons end as children of this process: a command's would be init's."""
    yield
    assert gone(childless)


@pytest.fixture
def daemon(settings: Settings) -> Iterator[int]:
    """A running node's process; it is gone after the test."""
    pid = node_client.start(NAME, settings)
    yield pid
    if runs(pid):
        os.kill(pid, signal.SIGKILL)
    assert gone(lambda: not place(NAME).running())


async def test_contexts_stay_between_clients(daemon: int, settings: Settings) -> None:
    paths = []
    for number in range(3):
        async with NodeClient(place(NAME)) as client:
            answer = await client.invoke(ECHO, {"n": number})
            assert answer.result == {"n": number} and answer.stdout == "said\n"
            paths.append(answer.path)
            phases = answer.phases.to_json().values()
            assert answer.latency_ms > sum(part for part in phases if part is not None)
    assert paths == [Path.COLD, Path.HOT, Path.HOT]
    async with NodeClient(place(NAME)) as client:
        status = await client.status()
        assert (status["served"], status["pid"], status["idle"]) == (3, daemon, 1)


async def test_clients_at_the_same_time(daemon: int) -> None:
    async def call(number: int) -> object:
        async with NodeClient(place(NAME)) as client:
            return (await client.invoke(ECHO, {"n": number})).result

    assert await asyncio.gather(*map(call, range(8))) == [{"n": number} for number in range(8)]


async def test_only_a_command_that_fits_is_served(daemon: int, settings: Settings) -> None:
    assert await running_node(settings, NAME) is not None
    assert await running_node(Settings(isolation="uc", image=settings.image), NAME) is None
    assert await running_node(settings, "another") is None


@pytest.mark.parametrize(
    "line",
    [b"no json\n", b"{}\n", b'{"do": "dance"}\n', b'{"do": "invoke", "function": 7}\n', b"[]\n"],
)
async def test_a_bad_request_is_answered(daemon: int, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(place(NAME).socket))
    writer.write(line)
    assert "error" in json.loads(await reader.readline())
    writer.close()
    async with NodeClient(place(NAME)) as client:
        assert (await client.invoke(ECHO, {})).ok


def test_start_twice_and_stop(daemon: int, settings: Settings) -> None:
    with pytest.raises(NodeError, match="runs already"):
        node_client.start(NAME, settings)
    runner = CliRunner()
    told = runner.invoke(main, ["node", "status", "--name", NAME])
    assert told.exit_code == 0 and f"{daemon} (machine" in told.stdout
    assert NAME in runner.invoke(main, ["node", "list"]).stdout
    assert runner.invoke(main, ["node", "stop", "--name", NAME]).exit_code == 0
    assert not place(NAME).running() and not place(NAME).socket.exists()
    missing = runner.invoke(main, ["node", "status", "--name", NAME])
    assert missing.exit_code == 3 and "seuss node start" in missing.stderr


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_no_machine_outlives_the_daemon(daemon: int, settings: Settings, how: int) -> None:
    async with NodeClient(place(NAME)) as client:
        machine = (await client.status())["machine_pid"]
        assert runs(machine)
        os.kill(daemon, how)
        with pytest.raises(NodeError):
            while True:
                await client.invoke(ECHO, {})
    assert await asyncio.to_thread(gone, lambda: not runs(machine))
    assert await asyncio.to_thread(gone, lambda: not place(NAME).running())
    # What it left behind is in nobody's way.
    again = await asyncio.to_thread(node_client.start, NAME, settings)
    os.kill(again, signal.SIGTERM)


def test_an_interrupted_start_leaves_no_daemon(settings: Settings) -> None:
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "node", "start"]
    command += ["--name", NAME, "--memory", str(settings.memory_mib), "--accelerator", "tcg"]
    command += ["--image", str(settings.image), "--store", str(settings.store)]
    with subprocess.Popen(command) as starting:
        assert gone(lambda: place(NAME).running())
        starting.send_signal(signal.SIGINT)
        assert starting.wait() == 130
    assert gone(lambda: not place(NAME).running())


def test_a_node_that_cannot_start_says_why(settings: Settings, tmp_path: pathlib.Path) -> None:
    missing = Settings(image=tmp_path / "missing.elf", store=settings.store, isolation="uc")
    with pytest.raises(NodeError, match=r"missing\.elf"):
        node_client.start(NAME, missing)
    assert not place(NAME).running()


async def test_daemons_of_one_host_take_one_copy_of_the_base(settings: Settings) -> None:
    names = ["one", "two", "three"]
    small = replace(settings, memory_mib=96)
    # The first takes the base; as long as it has not stored it, the others would take their own.
    pids = [await asyncio.to_thread(node_client.start, names[0], small)]
    pids += await asyncio.gather(
        *(asyncio.to_thread(node_client.start, name, small) for name in names[1:])
    )
    try:
        mapped = []
        for name in names[1:]:
            async with NodeClient(place(name)) as client:
                assert (await client.invoke(ECHO, {"n": 1})).result == {"n": 1}
                mapped.append(region_kib((await client.status())["machine_pid"]))
        assert min(rss for rss, _ in mapped) > 1024
        # Each sees the pages it used; what two use counts half for each.
        assert sum(pss for _, pss in mapped) < 0.75 * sum(rss for rss, _ in mapped)
        # One that dies takes nothing from the others, and the last one leaves nothing.
        os.kill(pids[1], signal.SIGKILL)
        assert await asyncio.to_thread(gone, lambda: not place(names[1]).running())
        async with NodeClient(place(names[2])) as client:
            again = replace(ECHO, name="again", code=ECHO.code + b"\n")
            assert (await client.invoke(again, {"n": 2})).result == {"n": 2}
        for name in (names[0], names[2]):
            async with NodeClient(place(name)) as client:
                await client.stop()
    finally:
        for pid in pids:
            if runs(pid):
                os.kill(pid, signal.SIGKILL)
    regions = place(names[0]).folder / "regions"
    assert await asyncio.to_thread(gone, lambda: not [*regions.iterdir()])
