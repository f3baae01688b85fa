"""The command from its first moment on."""

from __future__ import annotations

import signal
import subprocess
import sys

INTERRUPTED = """
import importlib.abc, os, signal, sys
from orchestrator.__main__ import run

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
run()
"""


def test_interrupted_while_it_is_imported() -> None:
    # A shell's background job has the signal ignored, and would pass that on.
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stderr) == (130, "seuss: interrupted\n")


def test_module_is_the_command() -> None:
    command = [sys.executable, "-m", "orchestrator", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("seuss, version ")
