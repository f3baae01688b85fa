"""Outcomes of invocations and their JSON form."""

from __future__ import annotations

import json

import pytest

from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path


def test_result_as_json() -> None:
    invocation = Invocation(
        path=Path.WARM,
        latency_ms=3.5,
        phases=Phases(spawn=0.0, restore=2.0, run=1.0),
        accelerator="tcg",
        result={"n": 1},
        stdout="hello\n",
        snapshot="0123456789abcdef",
        pooled=True,
    )
    assert invocation.ok
    assert Invocation.from_json(json.loads(json.dumps(invocation.to_json()))) == invocation
    assert json.loads(json.dumps(invocation.to_json())) == {
        "path": "warm",
        "isolation": "vm",
        "result": {"n": 1},
        "stdout": "hello\n",
        "stderr": "",
        "stdout_truncated": False,
        "stderr_truncated": False,
        "latency_ms": 3.5,
        "phases": {
            "wait": None,
            "spawn": 0.0,
            "restore": 2.0,
            "deploy": None,
            "import": None,
            "capture": None,
            "run": 1.0,
        },
        "pooled": True,
        "snapshot": "0123456789abcdef",
        "accelerator": "tcg",
    }


def test_error_as_json() -> None:
    error = InvocationError("exception", "ValueError: no", "Traceback ...")
    invocation = Invocation(Path.COLD, 1.0, Phases(), "kvm", error=error)
    answer = invocation.to_json()
    assert Invocation.from_json(json.loads(json.dumps(answer))) == invocation
    assert not invocation.ok
    assert "result" not in answer
    assert answer["error"] == {
        "kind": "exception",
        "message": "ValueError: no",
        "traceback": "Traceback ...",
    }


@pytest.mark.parametrize("both", [True, False])
def test_exactly_one_of_result_and_error(both: bool) -> None:
    error = InvocationError("exit", "sys.exit(1)") if both else None
    with pytest.raises(ValueError, match="either a result or an error"):
        Invocation(Path.WARM, 1.0, Phases(), "tcg", result={} if both else None, error=error)
