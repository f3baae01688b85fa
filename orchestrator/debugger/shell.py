"""The debugging shell: qemu.qmp's own shell, with verbs of its own and output for programs."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Any

from qemu.qmp import ConnectError, ExecuteError, QMPError
from qemu.qmp.qmp_shell import QMPShell, QMPShellError

from orchestrator.debugger.call_frames import CallFrames
from orchestrator.debugger.symbols import SymbolTable
from orchestrator.debugger.verbs import Outcome, Verbs
from orchestrator.errors import DebuggerError
from snapshot_store.errors import SeussError

ANSWER_DEADLINE_S = 30.0
GREETING_DEADLINE_S = 5.0
LONGEST_LINE = 64 * 1024
LEAVING = ("quit", "exit")
"""What ends the shell. QEMU's own `quit` would end the machine: write it as `{"execute": "quit"}`
to another client."""


class DebugShell(QMPShell):
    """A connection to a machine's monitor that takes lines; a context manager.

    QMP commands are written as in qemu.qmp's shell: `name key=value ...`.

    Args:
        socket: where the monitor listens.
        symbols, programs, contexts: as `Verbs` has them.
        as_json: whether every outcome is one line of JSON.
    """

    def __init__(
        self,
        socket: pathlib.Path,
        symbols: SymbolTable,
        programs: list[CallFrames],
        contexts: Callable[[], Mapping[str, Any]] | None = None,
        as_json: bool = False,
    ) -> None:
        super().__init__(str(socket))
        self._socket = socket
        self._as_json = as_json
        self._histfile = str(_history())
        self._interactive = False
        self._verbs = Verbs(self, symbols, programs, contexts)

    def attach(self, interactive: bool) -> None:
        """Connect; an interactive shell gets a history and completion. Raises DebuggerError."""
        self._interactive = interactive
        try:
            self._sync(self._greet())
        except TimeoutError as error:
            raise DebuggerError(
                f"{self._socket} does not answer: another debugger may be on it. Leave that first."
            ) from error
        except ConnectError as error:
            raise DebuggerError(
                f"No machine listens on {self._socket} ({error}). "
                "Start a node with seuss node start, or name another with --name."
            ) from error
        self._greeting = self._get_greeting()
        self.settimeout(ANSWER_DEADLINE_S)
        if interactive:
            self._completer_setup()

    async def _greet(self) -> None:
        self._qmp.await_greeting = self._qmp.negotiate = True
        async with asyncio.timeout(GREETING_DEADLINE_S):
            await self._qmp.connect(str(self._socket))

    def query(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Run a QMP command and return its answer. Raises DebuggerError when QEMU refuses."""
        try:
            return self.cmd(command, **dict(arguments or {}))
        except ExecuteError as error:
            raise DebuggerError(f"QEMU refused {command}: {error}") from error

    def run_line(self, line: str) -> Outcome | None:
        """Carry out one line; None when there is nothing to show. Raises DebuggerError.

        QMPError and TimeoutError come through when the machine is gone or hangs.
        """
        if len(line) > LONGEST_LINE:
            raise DebuggerError(f"A line of {len(line)} characters is too long.")
        name, _, rest = line.strip().partition(" ")
        if not self._transmode and name == "help":
            return self._help()
        if not self._transmode and name in self._verbs.all:
            try:
                words = shlex.split(rest)
            except ValueError as error:
                raise DebuggerError(f"The line cannot be split into words ({error}).") from error
            return self._verbs.run(name, words)
        try:
            command = self._build_cmd(line)
        except (QMPShellError, ValueError, RecursionError, MemoryError, TypeError) as error:
            self._transmode = False
            raise DebuggerError(
                f"The line is no command ({error or type(error).__name__}). "
                "Write: name key=value ... See help."
            ) from error
        if command is None:
            return None
        answer = self.cmd_obj(command)
        if "error" in answer:
            told = answer["error"]
            detail = told.get("desc") if isinstance(told, dict) else told
            raise DebuggerError(f"QEMU refused {str(command.get('execute'))[:80]}: {detail}")
        result = answer.get("return")
        return Outcome(result, json.dumps(result, indent=2))

    def run_commands(self, lines: list[str]) -> bool:
        """Carry out lines and show each outcome; return whether all succeeded."""
        good = True
        for line in lines:
            good = self._show(line) and good
        return good

    def read_exec_command(self) -> bool:
        """Read a line and carry it out; return False to leave."""
        try:
            line = input(self.prompt)
        except EOFError:
            print()
            return False
        except KeyboardInterrupt:
            print()
            self._transmode = False
            return True
        if not line.strip():
            for event in self.get_events():
                print(json.dumps(event))
            return True
        if line.strip() in LEAVING:
            return False
        try:
            self._show(line)
        except (QMPError, TimeoutError):
            return False
        return True

    def converse(self) -> None:
        """Take lines from the terminal until the user leaves or the machine ends."""
        self.show_banner("SEUSS debugger. Give help for its verbs, Ctrl-D to leave.")
        while self.read_exec_command():
            pass

    def close(self) -> None:
        """Leave; tell if the guest stays stopped."""
        try:
            if self._interactive:
                self._save_history()
                if not self._verbs.running():
                    print("the guest stays stopped: give cont to let it run", file=sys.stderr)
        except (SeussError, QMPError, TimeoutError):
            pass  # the machine is gone
        finally:
            self._sync(self._qmp.disconnect())

    def _fill_completion(self) -> None:
        super()._fill_completion()
        for name in (*self._verbs.all, "help", *LEAVING):
            self._completer.append(name)

    def _show(self, line: str) -> bool:
        """Carry out a line and print what came of it; return whether it succeeded."""
        try:
            outcome = self.run_line(line)
        except SeussError as error:
            if self._as_json:
                print(json.dumps({"command": line, "error": error.message}))
            else:
                print(f"seuss qmp: {error.message}", file=sys.stderr)
            return False
        except (QMPError, TimeoutError) as error:
            cause = "does not answer" if isinstance(error, TimeoutError) else "is gone"
            print(f"seuss qmp: the machine {cause} ({line!r})", file=sys.stderr)
            raise
        if outcome is not None:
            if self._as_json:
                print(json.dumps({"command": line, "result": outcome.data}))
            else:
                print(outcome.text)
            sys.stdout.flush()
        return True

    def _help(self) -> Outcome:
        verbs = self._verbs.all.items()
        text = "\n".join(f"{name + ' ' + verb.usage:20} {verb.help}" for name, verb in verbs)
        return Outcome(
            {name: verb.help for name, verb in verbs},
            f"{text}\nADDR is 0x..., a symbol, $register, or one of them +number. Every QMP "
            "command works\ntoo, as: human-monitor-command command-line='info mtree'",
        )


def _history() -> pathlib.Path:
    """Return the file of lines given before, in the user's state folder."""
    own = os.environ.get("XDG_STATE_HOME")
    folder = (pathlib.Path(own) if own else pathlib.Path.home() / ".local" / "state") / "seuss"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return pathlib.Path(os.devnull)
    return folder / "qmp_history"
