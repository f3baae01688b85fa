"""Functions by name: `seuss deploy`, `functions`, `invoke NAME` and `logs`."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from click.testing import CliRunner, Result

import orchestrator.cli.invoke
from orchestrator.cli import main
from orchestrator.platform.database import Database
from orchestrator.platform.log import Log
from tests.unit.orchestrator.cli.conftest import FakeOrchestrator


def run(runner: CliRunner, *words: str, status: int = 0) -> Result:
    done = runner.invoke(main, words)
    assert done.exit_code == status, done.output
    return done


def test_deployed_shown_and_deleted(runner: CliRunner, hello: str) -> None:
    told = run(runner, "deploy", hello, "--timeout", "5")
    assert told.stdout == "deployed hello, version 1, isolation uc\n"
    assert "seuss invoke hello" in told.stderr
    again = json.loads(run(runner, "deploy", hello, "--isolation", "vm", "--json").stdout)
    assert (again["version"], again["isolation"], again["timeout_s"]) == (2, "vm", 60.0)
    assert json.loads(run(runner, "functions", "list", "--json").stdout) == again
    assert "hello  2        vm" in run(runner, "functions", "list").stdout
    shown = run(runner, "functions", "show", "hello").stdout
    assert again["id"] in shown and "memory_mib  the platform's" in shown
    assert "network     none" in shown
    assert json.loads(run(runner, "functions", "show", "hello", "--json").stdout) == again
    code = run(runner, "functions", "show", "hello", "--code").stdout
    assert code == pathlib.Path(hello).read_text()
    assert run(runner, "functions", "delete", "hello").stdout == "deleted hello\n"
    assert "no function is deployed" in run(runner, "functions", "list").stderr


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["deploy", "absent.py"], "absent.py: cannot be read"),
        (["deploy", "HELLO", "--name", "a/b"], "'a/b' can be no function's name"),
        (["deploy", "HELLO", "--memory", "256"], "Leave the memory out"),
        (["deploy", "HELLO", "--timeout", "0"], "A timeout of 0.0 s cannot be"),
        (["deploy", "HELLO", "--network", "example.org"], "it has no port. Write HOST:PORT"),
        (["invoke", "absent", "--network", "a:1"], "Give it to seuss deploy for a NAME"),
        (["functions", "show", "absent"], "No function 'absent' is deployed. Deploy it with"),
        (["functions", "delete", "absent"], "No function 'absent'"),
        (["invoke", "absent"], "No function 'absent'"),
        (["logs", "--id", "absent"], "No invocation 'absent' is in the log"),
        (["logs", "--id", "absent", "--follow"], "--follow waits"),
    ],
)
def test_mistakes(runner: CliRunner, hello: str, words: list[str], cause: str) -> None:
    done = run(runner, *(hello if word == "HELLO" else word for word in words), status=2)
    assert cause in done.stderr


def test_new_refuses_to_replace(runner: CliRunner, hello: str) -> None:
    run(runner, "deploy", hello, "--new")
    assert "hello is there already" in run(runner, "deploy", hello, "--new", status=2).stderr


def test_invoked_by_name_as_deployed(
    runner: CliRunner, hello: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, int, bool]] = []

    class Watched(FakeOrchestrator):
        def __init__(self, settings: Any) -> None:
            super().__init__(settings)
            made.append((settings.isolation, settings.memory_mib, settings.network))

    for name in ("VmDispatcher", "UcDispatcher"):
        monkeypatch.setattr(orchestrator.cli.invoke, name, Watched)
    run(runner, "deploy", hello, "--name", "small")
    run(runner, "deploy", hello, "--name", "large", "--isolation", "vm", "--memory", "512")
    monkeypatch.setenv("SEUSS_RUNTIME", str(pathlib.Path(hello).parent / "run"))
    run(runner, "invoke", "small")
    run(runner, "invoke", "large")
    run(runner, "invoke", "large", "--memory", "256")
    run(runner, "invoke", "large", "--isolation", "uc")
    places = ("--network", "b.example:443", "--network", "a.example:80")
    told = run(runner, "deploy", hello, "--name", "far", "--json", *places).stdout
    assert json.loads(told)["network"] == ["a.example:80", "b.example:443"]
    shown = run(runner, "functions", "show", "far").stdout
    assert "network     a.example:80, b.example:443" in shown
    run(runner, "invoke", "far")
    assert made == [
        *(("uc", 512, False), ("vm", 512, False), ("vm", 256, False), ("uc", 512, False)),
        ("uc", 512, True),
    ]


def test_logs_of_what_was_invoked_by_name(runner: CliRunner, hello: str) -> None:
    run(runner, "deploy", hello, "--isolation", "vm")
    assert "make one with seuss invoke NAME" in run(runner, "logs").stderr
    run(runner, "invoke", "hello", "--repeat", "2")
    run(runner, "invoke", "hello", "--arg", '{"fail": "exception"}', status=1)
    run(runner, "invoke", hello)
    records = [json.loads(line) for line in run(runner, "logs", "--json").stdout.splitlines()]
    assert [record["function"] for record in records] == ["hello"] * 3
    assert [record.get("error", {}).get("kind") for record in records] == [None, None, "exception"]
    text = run(runner, "logs", "hello", "-n", "1").stdout
    assert "warm  3.2 ms  exception: it was asked for\n  stdout: printed\n  Traceback" in text
    one = run(runner, "logs", "--id", records[0]["id"], "--json").stdout
    assert json.loads(one) == records[0]


def test_a_platform_failure_in_between_loses_no_log(runner: CliRunner, hello: str) -> None:
    run(runner, "deploy", hello, "--isolation", "vm")
    run(runner, "invoke", "hello", "--arg", '{"die": true}', status=3)
    assert "no invocation of hello" in run(runner, "logs", "hello").stderr


def test_what_functions_print_steers_no_terminal(
    runner: CliRunner, hello: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(runner, "deploy", hello, "--isolation", "vm")
    run(runner, "invoke", "hello")
    odd = {"stdout": "\x1b[2J\tü\ud800\n\x07", "error": {"kind": "a\rb", "message": "\x9b"}}
    get = Log.get

    def odd_get(log: Log, id: str) -> dict[str, Any]:
        told = get(log, id)
        return told | odd | {"error": odd["error"] | {"traceback": None}}  # type: ignore[operator]

    monkeypatch.setattr(Log, "get", odd_get)
    with Database(pathlib.Path(str(runner.env["SEUSS_STORE"]))) as database:
        ((_, record),) = Log(database).list()
    text = run(runner, "logs", "--id", record["id"]).stdout
    assert "a\\rb: \\x9b\n  stdout: \\x1b[2J\tü\\ud800\n  stdout: \\x07\n" in text
