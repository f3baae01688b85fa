"""The debugger on a real node, by commands and by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pexpect
import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.function import Function
from orchestrator.nodes import client as node_client
from orchestrator.nodes.client import NodeClient
from orchestrator.nodes.places import place
from orchestrator.settings import Settings
from tests.integration.conftest import BUILD
from tests.integration.test_node_daemon import childless, gone

NAME = "debugged"
BUSY = Function(
    "busy",
    "source",
    b"import os\n"
    b"def main(args):\n"
    b"    while True:\n"
    b"        os.urandom(1 << 22) if args['kernel'] else sum(range(100000))\n",
)
LIMIT_S = 30.0
BUSY_S = 10.0
SEUSS = "from orchestrator.cli import main; main()"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node to look into, by name."""
    folder = tmp_path_factory.mktemp("debugger")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEUSS_RUNTIME", str(folder / "run"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        settings = Settings(
            image=BUILD / "ebbrt-python.elf",
            store=folder / "store",
            accelerator="tcg",
            isolation="uc",
            memory_mib=192,
        )
        node_client.start(NAME, settings)
        yield NAME
        asyncio.run(stop())
    assert gone(childless)


async def stop() -> None:
    async with NodeClient(place(NAME)) as client:
        await client.stop()


def look(*commands: str, status: int = 0) -> list[Any]:
    """Run the debugger's commands; return what each told."""
    words = [word for command in commands for word in ("--command", command)]
    command = [sys.executable, "-c", SEUSS, "qmp", "--name", NAME, "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.asynccontextmanager
async def busy(kernel: bool) -> AsyncIterator[None]:
    """Keep a function running in the node."""
    async with NodeClient(place(NAME)) as client:
        task = asyncio.create_task(client.invoke(BUSY, {"kernel": kernel}, timeout_s=BUSY_S))
        await asyncio.sleep(1)
        yield
        task.cancel()
        await asyncio.wait((task,))


async def backtrace(kernel: bool) -> list[dict[str, Any]]:
    """Catch the busy function in the kernel, or outside of it."""
    async with busy(kernel):
        for _ in range(50):
            [told] = await asyncio.to_thread(look, "backtrace")
            frames: list[dict[str, Any]] = told["result"]["frames"]
            traps = [frame["trap"] for frame in frames]
            if frames[0]["user"] != kernel and (256 in traps) == kernel:
                return frames
    raise AssertionError("the function was never found where it should be")


def test_commands_tell_of_the_machine(node: str) -> None:
    registers, status, listed, dirty, migration = (
        told["result"]
        for told in look("regs", "query-status", "snapshots", "dirty", "migrate-status")
    )
    assert registers["CR3"] and registers["EFER"] & 0x500 == 0x500  # long mode
    assert status["running"] is True
    assert [row["parent"] for row in listed] == [0] and listed[0]["pages"] > 100
    assert dirty["mib_per_s"] >= 0
    assert isinstance(migration, dict)


def test_memory_holds_the_image_that_the_symbols_are_of(node: str) -> None:
    [symbol] = look("symbol HandleSystemCall")
    start = symbol["result"]["address"]
    virtual, physical = look("mem HandleSystemCall 32", f"pmem {start & 0x7FFFFFFF:#x} 32")
    code = bytes.fromhex(virtual["result"]["bytes"])
    assert code == bytes.fromhex(physical["result"]["bytes"])
    assert code in (BUILD / "ebbrt-python.elf").read_bytes()


def test_idle_kernel_is_found_in_its_loop(node: str) -> None:
    stopped, told, again = look("stop", "backtrace", "cont")
    assert stopped["result"]["status"] == "paused" and again["result"]["status"] == "running"
    names = [frame["symbol"] or "?" for frame in told["result"]["frames"]]
    assert any("EventManager" in name for name in names)


async def test_user_code_is_followed_to_its_start(node: str) -> None:
    frames = await backtrace(kernel=False)
    assert all(frame["user"] for frame in frames) and len(frames) > 4


async def test_system_call_is_followed_into_the_program(node: str) -> None:
    frames = await backtrace(kernel=True)
    kernel = [frame["symbol"] for frame in frames if not frame["user"]]
    assert kernel[-1].startswith("HandleSystemCall+")
    entered = [frame for frame in frames if frame["trap"] == 256]
    assert len(entered) == 1 and entered[0]["user"]
    assert len(frames) - len(kernel) > 4


def test_failed_command_fails_the_script_but_not_the_others(node: str) -> None:
    wrong, right = look("mem nothing 4", "query-status", status=1)
    assert "no number" in wrong["error"] and right["result"]["status"] == "running"


def test_node_serves_while_a_debugger_is_on_it(node: str) -> None:
    async def call() -> dict[str, Any] | None:
        async with NodeClient(place(NAME)) as client:
            echo = Function("echo", "source", b"def main(args): return args")
            return (await client.invoke(echo, {"n": 1})).result

    assert asyncio.run(call()) == {"n": 1}
    [told] = look("ucs")
    assert len(told["result"]) >= 1 and all(row["id"] for row in told["result"])


def test_without_a_node_the_next_step_is_told(tmp_path: pathlib.Path) -> None:
    nowhere = str(tmp_path / "none.qmp")
    image = str(BUILD / "ebbrt-python.elf")
    words = ["qmp", "--socket", nowhere, "--image", image, "--command", "regs"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 3 and "seuss node start" in done.stderr


def test_by_hand_at_a_terminal(node: str) -> None:
    arguments = ["-c", SEUSS, "qmp", "--name", NAME]
    with pexpect.spawn(sys.executable, arguments, timeout=LIMIT_S, encoding="utf-8") as shell:
        shell.expect("Connected to QEMU")
        shell.expect_exact("(QEMU) ")
        shell.sendline("symbol HandleSystemCall")
        shell.expect(r"HandleSystemCall\+0x0 of")
        shell.send("backtr\t\r")
        shell.expect("#0 .* kernel ")
        shell.sendline("mem [[[ 'x")
        shell.expect("cannot be split")
        shell.sendintr()
        shell.sendline("stop")
        shell.expect("the guest is paused")
        shell.expect_exact("(QEMU) ")
        shell.sendeof()
        shell.expect("the guest stays stopped")
        shell.expect(pexpect.EOF)
    assert shell.wait() == 0
    assert look("cont")[0]["result"]["status"] == "running"
    history = place(NAME).folder.parent / "state" / "seuss" / "qmp_history"
    assert "symbol HandleSystemCall" in history.read_text()


def test_second_debugger_is_told_of_the_first(node: str) -> None:
    arguments = ["-c", SEUSS, "qmp", "--name", NAME]
    with pexpect.spawn(sys.executable, arguments, timeout=LIMIT_S, encoding="utf-8") as shell:
        shell.expect_exact("(QEMU) ")
        done = CliRunner().invoke(main, ["qmp", "--name", NAME, "--command", "regs"])
        assert done.exit_code == 3 and "another debugger" in done.stderr
        shell.sendeof()
        shell.expect(pexpect.EOF)
    assert look("query-status")[0]["result"]["running"] is True
