"""Lines given to the shell: every one is carried out or refused, none raises anything else."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.debugger.shell import LONGEST_LINE, DebugShell
from orchestrator.debugger.symbols import Symbol, SymbolTable
from orchestrator.errors import DebuggerError
from tests.unit.orchestrator.debugger.test_guest import TOLD, Memory


class FakeMachine(DebugShell):
    """A shell whose machine is made up: 64 KiB of memory and one processor."""

    def __init__(self, as_json: bool = False, contexts: Any = None) -> None:
        table = SymbolTable([Symbol("start", 0x100, 0x40)])
        super().__init__(pathlib.Path("nowhere"), table, [], contexts, as_json)
        self.memory = Memory(bytes(range(256)) * 256)
        self.asked: list[str] = []
        self.status = "running"

    def query(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        self.asked.append(command)
        if command == "human-monitor-command" and arguments is not None:
            told = str(arguments["command-line"])
            return TOLD if told == "info registers" else self.memory.query(command, arguments)
        if command in ("stop", "cont"):
            self.status = "paused" if command == "stop" else "running"
        return {
            "query-cpus-fast": [{}],
            "query-status": {"status": self.status, "running": self.status == "running"},
            "query-migrate": {"status": "active", "ram": {"remaining": 5}, "total-time": 7},
            "query-dirty-rate": {"status": "measured", "dirty-rate": 3},
        }.get(command, {})

    def cmd_obj(self, qmp_cmd: dict[str, object]) -> dict[str, object]:
        if qmp_cmd["execute"] == "query-name":
            return {"return": {"name": "seuss"}}
        return {"error": {"class": "CommandNotFound", "desc": "no such command"}}


def text(line: str, shell: FakeMachine | None = None) -> str:
    outcome = (shell or FakeMachine()).run_line(line)
    assert outcome is not None
    return outcome.text


def test_verbs_show_the_machine() -> None:
    assert "RIP     ffffffff8010346a" in text("regs")
    assert text("mem 0x41 4").endswith("41 42 43 44" + " " * 36 + "  ABCD")
    assert text("pmem start+1 2").startswith("0000000000000101  01 02")
    assert "start+0x10 of 0x40" in text("symbol 0x110")
    assert "0000000000000100  start+0x0" in text("symbol start")
    assert "3 MiB/s (768 pages/s)" in text("dirty 2")
    assert text("migrate-status") == "status active\ntotal-time 7\nram remaining 5"
    assert '"name": "seuss"' in text("query-name")
    assert "backtrace" in text("help")


def test_backtrace_stops_a_running_guest_and_lets_it_go_on() -> None:
    shell = FakeMachine()
    assert text("backtrace", shell).startswith("#0  ffffffff8010346a")
    assert shell.asked.index("stop") < shell.asked.index("human-monitor-command")
    assert shell.status == "running"
    text("stop", shell)
    shell.asked.clear()
    text("backtrace", shell)
    assert shell.status == "paused" and "cont" not in shell.asked


def test_what_a_hostile_node_lists_is_shown_as_numbers_only() -> None:
    rows = [{"id": 7, "snapshot": "\x1b[2J", "threads": [1], "busy": True}]
    shell = FakeMachine(contexts=lambda: {"contexts": rows, "snapshots": "none"})
    shown = text("ucs", shell)
    assert "\x1b" not in shown and shown.splitlines()[1].split()[:4] == ["7", "?", "?", "True"]
    with pytest.raises(DebuggerError, match="makes no sense"):
        shell.run_line("snapshots")
    text("stop", shell)
    with pytest.raises(DebuggerError, match="Give cont first"):
        shell.run_line("ucs")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("regs 1", "no processor 1"),
        ("regs all", "no number"),
        ("mem 0x10", "Use: mem ADDR LEN"),
        ("mem 0x10 0", "shows nothing"),
        ("mem 0x10 99999999", "too many"),
        ("mem -1 8", "no number"),
        ("mem 0x1ffff 8", "Cannot access"),
        ("mem $nothing 8", "no register"),
        ("mem 'open 8", "split"),
        ("symbol 0x1", "No symbol"),
        ("dirty 0", "cannot be watched"),
        ("ucs", "--name"),
        ("no-such-command", "no such command"),
        ("query-name what", "key=value"),
        ("query-name a=1 a=2", "multiple times"),
        ("x " * LONGEST_LINE, "too long"),
    ],
)
def test_mistakes_are_told(line: str, cause: str) -> None:
    with pytest.raises(DebuggerError) as caught:
        FakeMachine().run_line(line)
    assert cause in caught.value.message


def test_outcomes_as_json_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    shell = FakeMachine(as_json=True)
    assert not shell.run_commands(["symbol start", "mem", "query-name"])
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0]["result"]["address"] == 0x100
    assert "Use: mem" in told[1]["error"]
    assert told[2] == {"command": "query-name", "result": {"name": "seuss"}}


WORDS = st.sampled_from(
    [
        "mem",
        "regs",
        "symbol",
        "backtrace",
        "transaction(",
        ")",
        "a=1",
        "a.b={",
        "$rip",
        "+",
        "0x",
        "'",
        '"',
        "x=[" + "[" * 200,
        "start+",
        "x=1e999",
        "9" * 5000,
        "\x00",
        "�",
        "help",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=6).map(" ".join)))
def test_any_line_is_answered_or_refused(line: str) -> None:
    shell = FakeMachine()
    for _ in range(2):  # the second may come inside a transaction
        try:
            shell.run_line(line)
        except DebuggerError as error:
            assert error.message
