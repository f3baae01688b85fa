"""A command line under test: a fake orchestrator, a store with a few snapshots, a runner."""

from __future__ import annotations

import hashlib
import pathlib
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from click.testing import CliRunner

import orchestrator.cli.invoke
from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
from orchestrator.settings import Settings
from snapshot_store import PAGE_SIZE, Block, Depth, Draft, Level, PageSet, SnapshotStore


class FakeOrchestrator:
    """Answers with its arguments; `{"fail": kind}` fails; `{"die": true}` is the platform's end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def ensure_base(self) -> None:
        return None

    async def starting_point(self, function: Function) -> Path:
        return Path.WARM

    async def prepare(self, count: int, path: Path) -> None:
        return None

    async def invoke(
        self, function: Function, args: dict[str, Any], path: Path, timeout_s: float | None
    ) -> Invocation:
        if args.get("die"):
            raise MachineError(
                "QEMU ended by itself. Try again.",
                command=["qemu-system-x86_64", "-M", "a b"],
                log_tail="first\nlast\n",
            )
        error = None
        if kind := args.get("fail"):
            error = InvocationError(kind, "it was asked for", "Traceback: here")
        return Invocation(
            path=Path.WARM if path is Path.AUTO else path,
            latency_ms=3.25,
            phases=Phases(spawn=0.0, restore=2.0, run=1.25),
            accelerator="tcg",
            result=None if error else {"args": args, "ao": self.settings.ao},
            error=error,
            stdout="printed",
            snapshot="0123456789abcdef",
            pooled=True,
        )


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> CliRunner:
    """Runs commands with the fake orchestrator and a store of the test's own."""
    monkeypatch.setattr(orchestrator.cli.invoke, "VmDispatcher", FakeOrchestrator)
    return CliRunner(env={"SEUSS_STORE": str(tmp_path / "store")})


@pytest.fixture
def hello(tmp_path: pathlib.Path) -> str:
    """A function's file."""
    path = tmp_path / "hello.py"
    path.write_text("def main(args):\n    return {}\n")
    return str(path)


def _draft(level: Level, parent: str | None, fill: int, label: str) -> Draft:
    numbers = np.arange(3, dtype=np.uint64)
    data = np.full((3, PAGE_SIZE), fill, dtype=np.uint8)
    data[:, 0] = range(3)
    return Draft(
        depth=Depth.VM,
        level=level,
        image=hashlib.sha256(b"image").hexdigest(),
        runtime="python",
        blocks=(Block("ram", 16 * PAGE_SIZE, 0),),
        pages=PageSet(numbers, data),
        state=b"state",
        parent=parent,
        function=None if level is Level.BASE else hashlib.sha256(label.encode()).hexdigest(),
        label=label,
        facts={"machine": "microvm"},
    )


@pytest.fixture
def snapshots(tmp_path: pathlib.Path) -> dict[str, str]:
    """Ids of a base and of two functions built on it, in the runner's store."""
    with SnapshotStore(tmp_path / "store") as store:
        base = store.commit(_draft(Level.BASE, None, 1, "base")).id
        ids = {"base": base}
        for fill, name in ((2, "hello"), (3, "other")):
            ids[name] = store.commit(_draft(Level.FUNCTION, base, fill, name)).id
    return ids
