"""The `seuss` command as a person uses it: real image, real QEMU, a store of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

SEUSS = pathlib.Path(sys.executable).with_name("seuss")
FUNCTION = """
import uuid

def main(args):
    print("called with", sorted(args))
    if "raise" in args:
        raise ValueError(args["raise"])
    while "spin" in args:
        pass
    return {"twice": args.get("n", 0) * 2, "uuid": str(uuid.uuid4())}
"""
PATIENCE_S = 120


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a store that the module's tests share."""
    return os.environ | {"SEUSS_STORE": str(tmp_path_factory.mktemp("store"))}


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A function's file."""
    path = tmp_path_factory.mktemp("functions") / "greet.py"
    path.write_text(FUNCTION)
    return str(path)


def seuss(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SEUSS, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def answers(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def qemus(environment: dict[str, str]) -> list[int]:
    """Processes, other than this one, that name the store on their command line or environment."""
    store = environment["SEUSS_STORE"].encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if store in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def machines_of(pid: int) -> list[int]:
    """Machines that a command has started: they are told nothing of the store."""
    found = []
    for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in thread.read_text().split():
                if b"qemu" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def test_first_call_is_cold_and_later_ones_warm(environment: dict[str, str], function: str) -> None:
    first = seuss(environment, "invoke", function, "--arg", '{"n": 21}', "--json")
    assert first.returncode == 0, first.stderr
    (cold,) = answers(first)
    assert (cold["path"], cold["result"]["twice"]) == ("cold", 42)
    assert cold["stdout"] == "called with ['n']\n"

    later = seuss(environment, "invoke", function, "--json", "--repeat", "3")
    warm = answers(later)
    assert [answer["path"] for answer in warm] == ["warm"] * 3
    assert len({answer["result"]["uuid"] for answer in [cold, *warm]}) == 4
    (snapshot,) = {answer["snapshot"] for answer in warm}
    assert snapshot is not None and cold["snapshot"] in (None, snapshot)
    assert qemus(environment) == []


def test_booted(environment: dict[str, str], function: str) -> None:
    done = seuss(environment, "invoke", function, "--path", "booted", "--json")
    (answer,) = answers(done)
    assert (answer["path"], answer["snapshot"]) == ("booted", None)


def test_failed_function_has_status_1_and_a_traceback(
    environment: dict[str, str], function: str
) -> None:
    done = seuss(environment, "invoke", function, "--arg", '{"raise": "no luck"}', "--json")
    assert done.returncode == 1
    (answer,) = answers(done)
    assert answer["error"]["kind"] == "exception"
    assert "ValueError: no luck" in answer["error"]["traceback"]


def test_timeout_is_kept(environment: dict[str, str], function: str) -> None:
    done = seuss(
        environment, "invoke", function, "--arg", '{"spin": 1}', "--timeout", "1", "--json"
    )
    assert done.returncode == 1
    assert answers(done)[0]["error"]["kind"] == "timeout"


def test_snapshots_are_listed_and_whole(environment: dict[str, str], function: str) -> None:
    seuss(environment, "invoke", function)
    listed = answers(seuss(environment, "snapshots", "list", "--json"))
    base, *functions = sorted(listed, key=lambda each: each["parent"] is not None)
    assert base["level"] == "base"
    assert {each["parent"] for each in functions} == {base["id"]}
    verified = seuss(environment, "snapshots", "verify")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_interrupted_call_leaves_nothing(
    environment: dict[str, str], function: str, sent: signal.Signals, status: int
) -> None:
    # The snapshots are there: soon after its machine starts, the call is inside the function.
    seuss(environment, "invoke", function)
    process = subprocess.Popen(
        [SEUSS, "invoke", function, "--arg", '{"spin": 1}'],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not (machines := machines_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    assert machines and not any(pathlib.Path(f"/proc/{pid}").exists() for pid in machines)
    assert qemus(environment) == []
