"""What functions say cannot steer a terminal; files and pipes get it as it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

EVIL = "red \x1b[31m, title \x1b]0;t\x07, back \r, one byte \x9b2J, turned \u202e"
PROGRAM = """
import sys
from orchestrator.cli import invoke
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
text = sys.argv[1]
error = InvocationError("exception", text, text)
common = dict(path=Path.HOT, latency_ms=1.0, phases=Phases(), accelerator="none", stdout=text)
invoke._show(Invocation(**common, error=error), False)
invoke._show(Invocation(**common, result={"said": text}), False)
invoke._show(Invocation(**common, result={"said": text}), True)
"""


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_is_spared(terminal: bool) -> None:
    near, far = pty.openpty() if terminal else os.pipe()
    with os.fdopen(near, "rb", buffering=0) as output:
        program = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-c", PROGRAM, EVIL], stdout=far, stderr=far
        )
        os.close(far)
        said = b""
        try:
            while data := output.read(65536):
                said += data
        except OSError:
            pass  # so a terminal says that it was left
        assert program.wait() == 0
    text = said.decode().replace("\r\n", "\n")
    odd = {letter for letter in text if not letter.isprintable() and letter != "\n"}
    assert odd == (set() if terminal else {*"\x1b\x07\r\x9b\u202e"})
    assert text.count("red ") == 7
