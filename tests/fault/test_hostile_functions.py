"""Functions that do their worst: their caller hears what they did, and nobody else notices."""

from __future__ import annotations

import asyncio
import pathlib
import textwrap
from dataclasses import replace
from typing import NamedTuple

import pytest

from orchestrator.answers import OUTPUT_LIMIT
from orchestrator.function import Function
from orchestrator.paths import Path
from orchestrator.settings import Isolation
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.uc.node import UcNode
from tests.fault.conftest import check_store, dispatcher, function, real_image

SHORT_S = 0.7
"""The time limit of what never ends."""
LONG_S = 20.0
"""The time limit of what ends by itself."""
QUIET_TURNS = 400
MANY = 100_000_000


class Abuse(NamedTuple):
    """What a function does, and the kind and words that its caller hears."""

    body: str
    kind: str
    words: str


ABUSES = {
    "spins": Abuse("while True: pass", "timeout", "time limit of 700 ms"),
    "sleeps": Abuse("import time\ntime.sleep(1e6)", "timeout", "time limit of 700 ms"),
    "waits": Abuse("import threading\nthreading.Event().wait()", "timeout", "time limit of 700"),
    "spins in threads": Abuse(
        """
        import threading
        def spin():
            while True: pass
        for _ in range(8): threading.Thread(target=spin).start()
        spin()
        """,
        *("timeout", "time limit of 700 ms"),
    ),
    "exits": Abuse("import sys\nsys.exit(3)", "exit", "sys.exit(3)"),
    "leaves": Abuse("import os\nos._exit(3)", "exit", "exit status 3"),
    "aborts": Abuse("import os\nos.abort()", "exit", "killed by its own signal 6"),
    "kills itself": Abuse("import os\nos.kill(os.getpid(), 9)", "exit", "killed by its own signal"),
    "kills everybody": Abuse("import os\nos.kill(-1, 9)", "exit", "killed by its own signal 9"),
    # A constant that does not exist: the interpreter follows a wild pointer.
    "follows a wild pointer": Abuse(
        """
        code = (lambda: 0).__code__
        exec(code.replace(co_code=bytes([100, 255, 100, 254, 83, 0]), co_consts=()))
        """,
        *("fault", "page fault at"),
    ),
    "recurses": Abuse("f = lambda: f()\nf()", "exception", "maximum recursion depth"),
    "recurses in C": Abuse(
        """
        import sys
        sys.setrecursionlimit(1 << 30)
        class Deep:
            def __repr__(self): return repr(self)
        repr(Deep())
        """,
        *("fault", "page fault at"),
    ),
    "eats memory": Abuse(
        "kept = []\nwhile True: kept.append(bytearray(1 << 20))", "memory-limit", "out of memory"
    ),
    "fills its disk": Abuse(
        "file = open('/tmp/big', 'wb')\nwhile True: file.write(bytes(1 << 20))",
        *("exception", "No space left"),
    ),
    "starts threads without end": Abuse(
        """
        import threading, time
        while True: threading.Thread(target=time.sleep, args=(1e6,)).start()
        """,
        *("exception", "can't start new thread"),
    ),
    "forks": Abuse("import os\nwhile True: os.fork()", "exception", "not implemented"),
    "runs a program": Abuse(
        "import os\nos.execv('/bin/python', ['python'])", "exception", "not implemented"
    ),
    "opens files without end": Abuse(
        "kept = []\nwhile True: kept.append(open('/tmp/x', 'w'))",
        "exception",
        "Too many open files",
    ),
    "returns 100 MB": Abuse("return {'x': 'y' * 100_000_000}", "memory-limit", "out of memory"),
    "returns 20 MB": Abuse("return {'x': 'y' * 20_000_000}", "result-too-large", "8388608 are"),
    "returns itself": Abuse("x = {}\nx['x'] = x\nreturn x", "bad-result", "contains itself"),
    "closes its channel": Abuse("import os\nos.close(3)", "exit", "exit status 71"),
    "writes noise to its channel": Abuse(
        "import os\nos.write(3, b'x' * 100)", "exception", "Invalid argument"
    ),
    "destroys the builtins": Abuse(
        "import builtins\nbuiltins.__dict__.clear()", "exit", "exit status 70"
    ),
    "raises a long text": Abuse("raise ValueError('x' * (9 << 20))", "exception", "xxx"),
    "raises what cannot be shown": Abuse(
        """
        class Odd(Exception):
            def __str__(self): raise self
        raise Odd
        """,
        *("exception", "str() failed"),
    ),
}
IN_MACHINES = (
    *("spins", "leaves", "follows a wild pointer", "eats memory"),
    *("returns 20 MB", "destroys the builtins"),
)
"""Where each has a machine to itself; the guest is the same, so these stand for all."""
WHILE_LOADING = ("spins", "leaves", "eats memory", "recurses in C", "starts threads without end")
PRINTS = f"""
import sys

def main(args):
    line = "x" * 99 + "\\n"
    for _ in range({MANY // 100 // 100}):
        sys.stdout.write(line * 100)
        sys.stderr.write(line)
    return {{"n": {MANY}}}
"""


def hostile(name: str, loading: bool = False) -> Function:
    """Return a function that does it when it runs or, if `loading`, when it is imported."""
    body = textwrap.dedent(ABUSES[name].body).strip()
    rest = "def main(args):\n    return {}\n"
    if not loading:
        return Function(
            name, "source", f"def main(args):\n{textwrap.indent(body, '    ')}\n".encode()
        )
    return Function(name, "source", f"{body}\n{rest}".encode())


async def quiet(node: UcNode, idle: int) -> None:
    """Wait until only so many contexts are left, none of them busy."""
    for _ in range(QUIET_TURNS):
        listed = await node.list()
        busy = [context for context in listed["contexts"] if context["busy"]]
        if listed["context_count"] == idle and not busy:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"left: {listed}")


@pytest.mark.parametrize(
    ("isolation", "names"),
    [("uc", [*ABUSES]), ("vm", IN_MACHINES)],
    ids=["uc", "vm"],
)
async def test_each_function_harms_only_itself(
    own_store: pathlib.Path,
    nothing_left: pathlib.Path,
    isolation: Isolation,
    names: list[str],
) -> None:
    settings = replace(real_image(own_store), isolation=isolation)
    good = function(1)
    calls = [(name, False) for name in names]
    calls += [(name, True) for name in WHILE_LOADING if isolation == "uc"]
    async with dispatcher(settings) as running:
        await running.invoke(good, {})
        for name, loading in calls:
            abuse = ABUSES[name]
            limit = SHORT_S if abuse.kind == "timeout" else LONG_S
            answer, beside = await asyncio.gather(
                running.invoke(hostile(name, loading), {}, timeout_s=limit),
                running.invoke(good, {}),
            )
            assert answer.error is not None, name
            told = (abuse.kind, abuse.words)
            if loading and abuse.kind == "exception":
                told = ("import-error", abuse.words)
            assert answer.error.kind == told[0] and told[1] in answer.error.message, (name, answer)
            assert beside.result == {"n": 1}, name
            after = await running.invoke(good, {})
            assert after.result == {"n": 1} and after.path is not Path.COLD, name
        if isinstance(running, UcDispatcher):
            life = await running.life()
            await quiet(life.node, len(life.idle))
            assert life.node.strays == 0
    check_store(own_store)


@pytest.mark.parametrize("isolation", ["uc", "vm"])
async def test_printing_100_mb_is_cut_and_harms_nobody(
    own_store: pathlib.Path, nothing_left: pathlib.Path, isolation: Isolation
) -> None:
    settings = replace(real_image(own_store), isolation=isolation, timeout_s=60.0)
    prints = Function("prints", "source", PRINTS.encode())
    good = function(1)
    async with dispatcher(settings) as running:
        await running.invoke(good, {})
        printing = asyncio.create_task(running.invoke(prints, {}))
        beside = 0
        while not printing.done():
            assert (await running.invoke(good, {})).result == {"n": 1}
            beside += 1
        answer = await printing
        assert answer.result == {"n": MANY}
        assert answer.stdout_truncated and len(answer.stdout) == OUTPUT_LIMIT
        assert len(answer.stderr) == MANY // 100 and not answer.stderr_truncated
        assert beside > 1
        assert (await running.invoke(good, {})).result == {"n": 1}
