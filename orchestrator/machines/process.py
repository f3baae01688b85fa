"""Child processes that never outlive the orchestrator, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def dying_with_this() -> Callable[[], None]:
    """Return what a new process runs first (`preexec_fn`): ask to be killed with its starter.

    Its starter is the calling thread: one that ends earlier takes the process with it.
    """
    parent = os.getpid()

    def ask() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the request was in place
            os._exit(1)

    return ask
