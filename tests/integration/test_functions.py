"""Real Python functions in the real image: answers, errors, clones, exact deltas, leftovers."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.machines.guest_memory import memory_of
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.vm.instance import Instance
from orchestrator.vm.node import VmNode
from orchestrator.vm.pool import make_armed
from tests.integration.guests import holdings, resident

WARM_CALLS = 1000
CLONES = """
import os, random, secrets, time, uuid
drawn_while_loading = random.random()
def main(args):
    return {
        "uuid4": str(uuid.uuid4()), "urandom": os.urandom(16).hex(), "random": random.random(),
        "token": secrets.token_hex(8), "own": random.Random().random(), "time": time.time(),
    }
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The real image with a store that the module's tests share."""
    store = tmp_path_factory.mktemp("store")
    return Settings(store=store, accelerator="tcg", pool_size=1, timeout_s=30.0)


@pytest.fixture
async def orchestrator(settings: Settings) -> AsyncIterator[VmDispatcher]:
    async with VmDispatcher(settings) as running:
        yield running


def function(code: str) -> Function:
    return Function("function", "source", code.encode())


@pytest.mark.parametrize("path", [Path.BOOTED, Path.COLD, Path.WARM])
async def test_same_answer_on_each_path(orchestrator: VmDispatcher, path: Path) -> None:
    code = "import json\ndef main(args):\n    print('called')\n    return {'n': args['n'] * 2}\n"
    answer = await orchestrator.invoke(function(code), {"n": 21}, path)
    assert answer.result == {"n": 42} and answer.stdout == "called\n"


async def test_q35_serves_as_microvm_does(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = replace(settings, machine="q35", store=tmp_path_factory.mktemp("q35"))
    async with VmDispatcher(other) as orchestrator:
        for path in (Path.COLD, Path.WARM):
            answer = await orchestrator.invoke(function("def main(a): return a"), {"a": 1}, path)
            assert answer.result == {"a": 1}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def main(:", "syntax-error"),
        ("import no_such_module", "import-error"),
        ("value = 1", "no-main"),
        ("def main(args): return {'x': 1 / 0}", "exception"),
        ("def main(args): return [1]", "bad-result"),
        ("def main(args): return {'x': object()}", "bad-result"),
        ("import sys\ndef main(args): sys.exit(3)", "exit"),
        ("import os\ndef main(args): os._exit(3)", "exit"),
        ("def main(args): return {'x': 'y' * (9 << 20)}", "result-too-large"),
        ("def main(args):\n    while True: pass", "timeout"),
    ],
)
async def test_each_failure_is_of_its_own_kind_and_the_node_lives_on(
    orchestrator: VmDispatcher, code: str, kind: str
) -> None:
    for path in (Path.COLD, Path.WARM):
        answer = await orchestrator.invoke(function(code), {}, path, timeout_s=3.0)
        assert answer.error is not None and answer.error.kind == kind
    whole = await orchestrator.invoke(function("def main(args): return args"), {"a": 1})
    assert whole.result == {"a": 1}


async def test_clones_never_agree_on_anything_random(orchestrator: VmDispatcher) -> None:
    answers = []
    for _ in range(5):
        before = time.time()
        answer = await orchestrator.invoke(function(CLONES), {})
        assert answer.result is not None
        # The guest's clock is the host's: what it read lies between the call and its answer.
        assert before - 0.01 <= answer.result["time"] <= time.time() + 0.01
        answers.append(answer.result)
    for name in ("uuid4", "urandom", "random", "token", "own"):
        assert len({answer[name] for answer in answers}) == len(answers)


@pytest.mark.parametrize(
    "code",
    [
        "def main(args): return {}",
        "import http.client, asyncio, decimal, re, json\ndef main(args): return {}",
        "data = bytearray(range(256)) * 4096\ndef main(args): return {'n': len(data)}",
        "import random\nvalues = [random.random() for _ in range(20000)]\ndef main(a): return {}",
    ],
)
async def test_delta_is_the_byte_difference_of_memory(
    settings: Settings, tmp_path: pathlib.Path, code: str
) -> None:
    async with VmNode(settings) as node:
        base = await node.base()
        ready = await make_armed(base.origin, node.hardware, None)
        try:
            assert ready.held is not None and ready.held.flaw is None
            before = await memory_of(ready.machine)
            await ready.machine.execute("cont")
            instance = Instance(ready.machine)
            await instance.synchronise()
            assert await instance.load(function(code), 30.0) is None
            captured = await ready.held.collect()
            after = await memory_of(ready.machine)
        finally:
            await ready.close()
        differing = np.flatnonzero((before != after).any(axis=1))
        assert len(differing) > 0
        guest = captured.pages.numbers < len(after)
        assert captured.pages.numbers[guest].tolist() == differing.tolist()
        assert (captured.pages.data[guest] == after[differing]).all()
        assert guest.all()


async def test_captured_machine_and_its_clones_go_on_alike(orchestrator: VmDispatcher) -> None:
    code = "count = 0\ndef main(args):\n    global count\n    count += 1\n    return {'n': count}\n"
    answers = [await orchestrator.invoke(function(code), {}) for _ in range(3)]
    assert [answer.path for answer in answers] == [Path.COLD, Path.WARM, Path.WARM]
    # A clone starts at the snapshot: it does not see what the machine it came from did later.
    assert [answer.result for answer in answers] == [{"n": 1}] * 3


async def test_one_instance_serves_many_requests(settings: Settings) -> None:
    async with VmNode(settings) as node:
        base = await node.base()
        ready = await make_armed(base.origin, node.hardware, None)
        try:
            await ready.machine.execute("cont")
            instance = Instance(ready.machine)
            await instance.synchronise()
            assert await instance.load(function("def main(args): return args"), 30.0) is None
            for number in range(20):
                assert await instance.invoke({"n": number}, 30.0) == {"n": number}
            failed = await instance.invoke({"n": float("inf")}, 30.0)
            assert isinstance(failed, InvocationError) and failed.kind == "bad-request"
            assert await instance.status(30.0)
        finally:
            await ready.close()


async def test_thousand_warm_calls_leave_nothing_behind(settings: Settings) -> None:
    before = holdings()
    code = function("def main(args): return {'n': args['n']}")
    async with VmDispatcher(settings) as orchestrator:
        await orchestrator.invoke(code, {"n": -1}, Path.WARM)
        files = sorted(settings.store.rglob("*"))
        used = 0
        for number in range(WARM_CALLS):
            answer = await orchestrator.invoke(code, {"n": number}, Path.WARM)
            assert answer.result == {"n": number}
            if number == WARM_CALLS // 10:
                used = resident()
        assert resident() < used + (32 << 20)
        assert sorted(settings.store.rglob("*")) == files
    await asyncio.sleep(0.01)
    assert holdings() == before
