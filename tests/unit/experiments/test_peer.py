"""How peers run the commands of their engines."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from experiments.peers.errors import PeerError
from experiments.peers.peer import command


async def test_a_command_is_not_cut_off_by_a_caller_that_gives_up(tmp_path: pathlib.Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    script = f"touch {begun}; sleep 0.2; touch {ended}"
    call = asyncio.create_task(command("sh", "-c", script, what="It failed"))
    for _ in range(1000):
        if begun.exists():
            break
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.exists()


async def test_what_a_command_says_is_returned_or_told() -> None:
    assert await command("echo", "words", what="It failed") == "words\n"
    with pytest.raises(PeerError, match="It failed: status 3: no luck"):
        await command("sh", "-c", "echo no luck >&2; exit 3", what="It failed")
    with pytest.raises(TimeoutError):
        await command("sleep", "3600", what="It failed", timeout_s=0.05)
