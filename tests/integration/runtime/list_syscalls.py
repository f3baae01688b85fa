"""Print the system calls that the Python runtime makes, phase by phase (needs strace).

.venv/bin/python -m tests.integration.runtime.list_syscalls
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from orchestrator.wire import MessageType
from tests.integration.runtime.native_runner import NativeRunner, zipped

FUNCTIONS = {
    "nop": "def main(args): return {}",
    "asyncio": "import asyncio\nasync def main(args):\n  await asyncio.sleep(0.01)\n  return {}",
    "threads": (
        "import threading, time\n"
        "def main(args):\n"
        "    threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(3)]\n"
        "    [t.start() for t in threads]; [t.join() for t in threads]\n"
        "    return {}\n"
    ),
    "files": (
        "import pathlib, tempfile\n"
        "def main(args):\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        path = pathlib.Path(folder, 'f')\n"
        "        path.write_text('x')\n"
        "        return {'x': path.read_text(), 'n': [p.name for p in path.parent.iterdir()]}\n"
    ),
    "error": "def main(args): raise ValueError",
}
_CALL = re.compile(r"^\d+\s+(\w+)\(", re.M)
#: strace writes its log a moment after the call.
_LAG_S = 0.3


def trace(phases: list[tuple[str, Callable[[NativeRunner], object]]]) -> None:
    """Run ``phases`` on a fresh runner and print the calls of each."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with NativeRunner(("strace", "-f", "-qq", "-o", str(log))) as runner:
            seen = 0
            for name, act in phases:
                act(runner)
                time.sleep(_LAG_S)
                text = log.read_text(errors="replace")
                calls = Counter(_CALL.findall(text[seen:]))
                seen = len(text)
                print(f"  {name}: " + " ".join(f"{call}*{n}" for call, n in calls.most_common()))


def main() -> None:
    """Trace start-up, optimisation, a zip, and each sample function."""
    print("start")
    trace(
        [
            ("start", lambda runner: runner.ready),
            ("optimise", lambda runner: runner.request(MessageType.OPTIMISE, b"{}")),
            ("sync", lambda runner: runner.sync(1)),
        ]
    )
    samples = {name: (code, "source") for name, code in FUNCTIONS.items()}
    samples["zip"] = (zipped({"__main__.py": FUNCTIONS["nop"]}), "zip")
    for name, (code, form) in samples.items():
        print(name)
        trace(
            [
                ("start", lambda runner: runner.ready),
                ("load", lambda runner, c=code, f=form: runner.load(c, f)),  # type: ignore[misc]
                ("invoke", lambda runner: runner.invoke()),
                ("unload", lambda runner: runner.request(MessageType.UNLOAD)),
            ]
        )


if __name__ == "__main__":
    main()
