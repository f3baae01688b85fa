"""How many pages a restore, a load and an invocation write to: what snapshots have to carry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.anticipation import Anticipation
from orchestrator.wire import MessageType
from tests.integration.runtime.native_runner import JAVASCRIPT, PROGRAM, NativeRunner
from tests.integration.runtime.process_clone import PAGE_SIZE, cloned, is_able, written

NOP = "def main(args): return {}"
NOP_OF = {PROGRAM: NOP, JAVASCRIPT: "function main(args) { return {}; }"}
#: The bound for a NOP function's snapshot is 1 MiB, and the kernel needs its part of it.
LOAD_BYTES = 680 << 10
INVOKE_BYTES = 400 << 10


@pytest.fixture
def optimised(runner: NativeRunner) -> Iterator[NativeRunner]:
    if not is_able():
        pytest.skip("frame numbers are hidden from this user: needs root")
    assert runner.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    settle(runner.process.pid)
    yield runner


def settle(process: int) -> None:
    """Wait until the process is back in read; the answer comes a moment before."""
    for _ in range(1000):
        if Path(f"/proc/{process}/syscall").read_text().split()[:2] == ["0", "0x3"]:
            return
        time.sleep(0.005)
    raise TimeoutError(f"process {process} did not come back to read")


def test_loading_a_nop_function_writes_little(optimised: NativeRunner) -> None:
    parent = optimised.process.pid
    with cloned(parent) as child:
        optimised.sync(1)
        optimised.load(NOP)
        settle(child)
        assert 0 < len(written(parent, child)) * PAGE_SIZE < LOAD_BYTES


def test_invoking_a_nop_function_writes_little(optimised: NativeRunner) -> None:
    parent = optimised.process.pid
    optimised.result_of(NOP)
    settle(parent)
    with cloned(parent) as child:
        optimised.sync(1)
        optimised.invoke()
        settle(child)
        once = written(parent, child)
        assert 0 < len(once) * PAGE_SIZE < INVOKE_BYTES
        for _ in range(200):
            optimised.invoke()
        settle(child)
        assert len(written(parent, child)) < 2 * len(once)


def pages_of_loading(program: Path, step: Anticipation) -> int:
    """Return how many pages a NOP's load writes to after that much optimisation."""
    with NativeRunner(program=program) as runner:
        if step is not Anticipation.NONE:
            assert runner.request(MessageType.OPTIMISE, step.request).type is MessageType.DONE
        parent = runner.process.pid
        settle(parent)
        with cloned(parent) as child:
            runner.sync(1)
            runner.load(NOP_OF[program])
            settle(child)
            return len(written(parent, child))


@pytest.mark.skipif(not is_able(), reason="frame numbers are hidden from this user: needs root")
@pytest.mark.parametrize("program", NOP_OF, ids=lambda program: program.name)
@pytest.mark.parametrize("step", [Anticipation.NETWORK, Anticipation.FULL])
def test_a_step_of_optimisation_leaves_less_to_write(program: Path, step: Anticipation) -> None:
    assert pages_of_loading(program, step) < pages_of_loading(program, Anticipation.NONE)
