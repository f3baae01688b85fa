"""The log of invocations: what is kept, and how much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import UnknownInvocationError
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
from orchestrator.platform import log as log_module
from orchestrator.platform.database import Database
from orchestrator.platform.log import OUTPUT_KEPT, RESULT_KEPT, Entry, Log


def entry(number: int, function: str = "f", **outcome: Any) -> Entry:
    told = Invocation(Path.WARM, 1.5, Phases(), "fake", **({"result": {"n": number}} | outcome))
    return Entry(f"{number:032x}", 100.0 + number, function, 1, "uc", told)


def numbers(log: Log, *args: Any, **kwargs: Any) -> list[int]:
    return [int(record["id"], 16) for _, record in log.list(*args, **kwargs)]


def test_entries_come_back_in_order(database: Database) -> None:
    log = Log(database)
    log.append([entry(1), entry(2, "g"), entry(3)])
    assert log.get(f"{2:032x}") == entry(2, "g").to_json()
    assert numbers(log) == [1, 2, 3]
    assert numbers(log, "f") == [1, 3]
    assert numbers(log, limit=2) == [2, 3]
    serial = log.list()[1][0]
    assert numbers(log, after=serial) == [3]
    with pytest.raises(UnknownInvocationError, match="'absent' is in the log"):
        log.get("absent")


def test_each_function_keeps_its_newest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MOST_PER_FUNCTION", 3)
    log = Log(database)
    log.append([entry(0, "quiet")])
    for number in range(1, 8):
        log.append([entry(number)])
    assert numbers(log) == [0, 5, 6, 7]


def test_all_together_keep_within_rows_and_bytes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MOST_IN_ALL", 5)
    log = Log(database)
    log.append([entry(number, f"f{number}") for number in range(9)])
    assert numbers(log) == [4, 5, 6, 7, 8]
    size = len(json.dumps(entry(8, "f8").to_json()))
    monkeypatch.setattr(log_module, "MOST_BYTES", 2 * size)
    log.append([entry(9, "f9")])
    assert numbers(log) == [8, 9]


def test_long_texts_are_cut(database: Database) -> None:
    log = Log(database)
    long = "x" * (OUTPUT_KEPT + 1)
    error = InvocationError("exception", long, long)
    log.append([entry(1, stdout=long, stderr="short", result=None, error=error)])
    log.append([entry(2, result={"long": "x" * RESULT_KEPT})])
    first, second = (record for _, record in log.list())
    assert len(first["stdout"]) == OUTPUT_KEPT and first["stdout_truncated"]
    assert first["stderr"] == "short" and not first["stderr_truncated"]
    assert len(first["error"]["message"]) == len(first["error"]["traceback"]) == OUTPUT_KEPT
    assert first["error"]["kind"] == "exception"
    assert second["result"] is None and second["result_truncated"]


def test_letters_that_no_file_takes(database: Database) -> None:
    log = Log(database)
    log.append([entry(1, result={"odd": "\ud800"})])
    assert log.get(f"{1:032x}")["result"] == {"odd": "\ud800"}


def test_a_list_for_programs_is_the_same(database: Database) -> None:
    log = Log(database)
    failed = InvocationError("exception", "no")
    log.append([entry(1), entry(2, "g", result=None, error=failed), entry(3, stdout="\u00e9")])
    told = json.loads(log.listed())
    assert told == [{"serial": serial} | record for serial, record in log.list()]
    assert [each["id"] for each in json.loads(log.listed("g"))] == [f"{2:032x}"]
    assert [each["serial"] for each in json.loads(log.listed(limit=2))] == [2, 3]
    assert [each["serial"] for each in json.loads(log.listed(after=1, limit=1))] == [3]
    assert log.listed(after=3) == "[]"
    brief = json.loads(log.listed(brief=True))
    assert [each["error_kind"] for each in brief] == [None, "exception", None]
    names = {*told[0]} - {"stdout", "stderr", "result", "error"}
    assert {*brief[0]} - {"error_kind"} <= names
    assert all(brief[0][name] == told[0][name] for name in {*brief[0]} - {"error_kind"})


def test_a_list_for_programs_is_bounded(database: Database) -> None:
    log = Log(database)
    log.append([entry(n, result={"n": "x" * 1000}) for n in range(20)])
    sizes = [len(json.dumps(record)) for _, record in log.list()]
    most = sum(sizes[-3:]) - 1
    assert [each["serial"] for each in json.loads(log.listed(most=most))] == [18, 19, 20]
    assert [each["serial"] for each in json.loads(log.listed(most=1))] == [20]
    assert len(json.loads(log.listed(brief=True, most=most))) > 3
