"""Forked writers that are stopped or killed at a chosen step.

A step is a call by which the store changes the disk or takes a lock. A writer that is killed at a
write has first written half of it.
"""

import fcntl
import os
import signal
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from snapshot_store import catalogue

STEPS = (
    (os, "open"),
    (os, "write"),
    (os, "fsync"),
    (os, "mkdir"),
    (os, "rename"),
    (os, "replace"),
    (os, "unlink"),
    (os, "rmdir"),
    (fcntl, "flock"),
    (catalogue, "_in_transaction"),
)


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a forked child; return its process id. It exits with 1 after an error."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Wait for a child; return its exit status, or the negative number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def interrupted_at(step: int, number: signal.Signals, work: Callable[[], object]) -> int:
    """Run `work` in a child that sends itself a signal at the given step (0 is the first).

    Returns:
        The child's process id.
    """

    def count_and_work() -> None:
        left = step

        def counted(call: Callable[..., Any], name: str) -> Callable[..., Any]:
            @wraps(call)
            def stepped(*args: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left == -1:
                    if name == "write":
                        half = memoryview(args[1])[: len(args[1]) // 2]
                        call(args[0], half)
                        os.kill(os.getpid(), number)
                        return len(half)
                    os.kill(os.getpid(), number)
                return call(*args, **options)

            return stepped

        for module, name in STEPS:
            setattr(module, name, counted(getattr(module, name), name))
        work()

    return forked(count_and_work)


def kill_at_every_step(
    prepare: Callable[[], Callable[[], object]], inspect: Callable[[bool], None]
) -> int:
    """Kill the work at its first step, then anew at its second, and so on until it ends itself.

    Args:
        prepare: puts the old state in place and returns the work.
        inspect: looks at what is left; its argument tells whether the work ended.

    Returns:
        How many steps the work has.
    """
    step = 0
    while True:
        status = ended(interrupted_at(step, signal.SIGKILL, prepare()))
        assert status in (0, -signal.SIGKILL), f"the work failed by itself at step {step}"
        inspect(status == 0)
        if status == 0:
            return step
        step += 1
