"""The frame stream itself: cut and joined frames, garbage, and its end."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from orchestrator.wire import Frame, MessageType, sync_payload
from tests.integration.runtime.native_runner import PROGRAM, REPOSITORY, NativeRunner

VECTORS = json.loads((REPOSITORY / "tests/vectors/frames.json").read_text(encoding="utf-8"))
ECHO = "def main(args): return args"


@pytest.mark.parametrize("piece", [1, 7, 31, 32, 33])
def test_frames_may_arrive_in_pieces(runner: NativeRunner, piece: int) -> None:
    runner.result_of(ECHO)
    frame = Frame(MessageType.INVOKE, b'{"text": "some words to cut"}', id=9)
    runner.send_bytes(frame.encode() * 3, piece)
    for _ in range(3):
        assert runner.receive() == Frame(MessageType.RESULT, b'{"text":"some words to cut"}', id=9)


def test_frames_may_arrive_together(runner: NativeRunner) -> None:
    runner.result_of(ECHO)
    sync = Frame(MessageType.SYNC, sync_payload(0, 1, bytes(32))).encode()
    invokes = [
        Frame(MessageType.INVOKE, json.dumps({"n": "x" * n}).encode(), id=n).encode()
        for n in (1, 900, 1000, 4064, 4096, 100_000)
    ]
    runner.send_bytes(b"".join(sync + invoke for invoke in invokes))
    for n in (1, 900, 1000, 4064, 4096, 100_000):
        answer = runner.receive()
        assert (answer.id, len(answer.json()["n"])) == (n, n)


def test_a_header_carries_the_greatest_id(runner: NativeRunner) -> None:
    runner.send_bytes(Frame(MessageType.UNLOAD, id=2**64 - 1, context=7, limit_ms=9).encode())
    assert runner.receive() == Frame(MessageType.DONE, b"{}", id=2**64 - 1)


def test_the_end_of_the_stream_ends_the_runner_in_order(runner: NativeRunner) -> None:
    runner.close_stream()
    assert runner.finish() == (0, "", "")


WORDS = {
    "magic": "does not start with SEUS",
    "version": "is of version",
    "flags": "has flags",
    "check": "checksum is",
    "length": "bytes, 8388608 are allowed",
}


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: str(vector["name"]))
def test_a_bad_header_ends_the_runner_with_a_reason(
    runner: NativeRunner, vector: dict[str, Any]
) -> None:
    runner.send_bytes(bytes.fromhex(vector["frame"]))
    with pytest.raises(EOFError):
        runner.receive()
    status, out, err = runner.finish()
    assert (status, out) == (71, "")
    assert WORDS[vector["error"]] in err


@pytest.mark.parametrize("size", [5, 40])
def test_a_stream_cut_inside_a_frame(runner: NativeRunner, size: int) -> None:
    runner.send_bytes(Frame(MessageType.INVOKE, b'{"a": "and more"}').encode()[:size])
    runner.close_stream()
    status, _, err = runner.finish()
    assert status == 71
    assert "the stream ended" in err


def test_without_a_stream_it_says_so() -> None:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built: make -C ebbrt_image/runtimes/python")
    done = subprocess.run([PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 71
    assert "request stream is lost: [Errno 9]" in done.stderr


def test_a_start_without_memory_says_which_step_failed() -> None:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built: make -C ebbrt_image/runtimes/python")
    size_kib = PROGRAM.stat().st_size // 1024
    script = f'ulimit -v {size_kib + 1800} && exec "$0"'
    done = subprocess.run(
        ["/bin/bash", "-c", script, PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "seuss: Python did not start: " in done.stderr
