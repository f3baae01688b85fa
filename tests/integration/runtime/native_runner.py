"""A guest's program, run on this machine with a socketpair as its frame stream."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import socket
import subprocess
import time
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.wire import Decoder, Frame, MessageType, sync_payload

REPOSITORY = Path(__file__).parents[3]
BUILD = Path(os.environ.get("BUILD", REPOSITORY / "build"))
PROGRAM = BUILD / "python/root/bin/python"
JAVASCRIPT = BUILD / "js/root/bin/js"
STREAM = 3
PATIENCE_S = 60.0


def zipped(files: dict[str, str | bytes]) -> str:
    """Return a zip of ``files`` (path to contents) as base64 text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return base64.b64encode(buffer.getvalue()).decode()


class NativeRunner:
    """One process of the program; a context manager that leaves no process and file behind.

    ``wrapper`` is a command to run it under, ``program`` a runtime's program.
    """

    def __init__(self, wrapper: tuple[str, ...] = (), program: Path = PROGRAM) -> None:
        self._here, there = socket.socketpair()
        self._here.settimeout(PATIENCE_S)
        # The shell puts the socket where the guest's kernel has it.
        script = f'exec "$@" {STREAM}<&{there.fileno()}'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", script, "bash", *wrapper, str(program)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[there.fileno()],
            env={},
        )
        there.close()
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        self._id = 0
        self.ready = self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._here.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        # In the guest they go with its memory; here the disk would keep them.
        for unpacked in Path("/tmp").glob(f"seuss-function-{self.process.pid}-*"):
            shutil.rmtree(unpacked)

    def receive(self) -> Frame:
        """Return the next frame from the runner; EOFError when it closed the stream."""
        while not self._frames:
            data = self._here.recv(1 << 20)
            if not data:
                raise EOFError
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def send_bytes(self, data: bytes, piece: int | None = None) -> None:
        """Send raw bytes, in pieces of ``piece`` bytes when given."""
        if piece is None:
            self._here.sendall(data)
            return
        for start in range(0, len(data), piece):
            self._here.sendall(data[start : start + piece])
            time.sleep(0.001)

    def close_stream(self) -> None:
        """Close our end of the stream."""
        self._here.close()

    def finish(self) -> tuple[int, str, str]:
        """Wait for the end of the process; return its status, stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), err.decode()

    def end(self) -> tuple[str, str]:
        """End the runner in order; return what it printed on stdout and stderr."""
        self.close_stream()
        status, out, err = self.finish()
        assert status == 0, err
        return out, err

    def request(self, kind: MessageType, payload: bytes = b"") -> Frame:
        """Send one request and return its answer, whose id is checked."""
        self._id += 1
        self.send_bytes(Frame(kind, payload, id=self._id, limit_ms=1000).encode())
        answer = self.receive()
        assert answer.id == self._id
        return answer

    def sync(self, generation: int) -> None:
        """Tell the runner that it has been restored."""
        self.send_bytes(Frame(MessageType.SYNC, sync_payload(0, generation, bytes(32))).encode())

    def load(
        self, code: str, form: str = "source", name: str = "demo", main: str = "main"
    ) -> Frame:
        """Send LOAD and return the answer."""
        request = {"name": name, "main": main, "format": form, "code": code}
        return self.request(MessageType.LOAD, json.dumps(request).encode())

    def invoke(self, arguments: object = None) -> Frame:
        """Send INVOKE with the arguments (an empty object by default) and return the answer."""
        return self.request(MessageType.INVOKE, json.dumps(arguments or {}).encode())

    def result_of(self, code: str, arguments: object = None, **load: str) -> dict[str, Any]:
        """Load and invoke a function that must succeed; return its result."""
        loaded = self.load(code, **load)
        assert loaded.type is MessageType.LOADED, loaded.payload.decode()
        answer = self.invoke(arguments)
        assert answer.type is MessageType.RESULT, answer.payload.decode()
        return answer.json()

    def failure_of(self, code: str, arguments: object = None, **load: str) -> dict[str, Any]:
        """Load and invoke a function that must fail on the way; return the error."""
        answer = self.load(code, **load)
        if answer.type is MessageType.LOADED:
            answer = self.invoke(arguments)
        assert answer.type is MessageType.ERROR, answer.payload.decode()
        return answer.json()
