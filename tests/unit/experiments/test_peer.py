"""How peers run the commands of their engines."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from experiments.peers.criu import Criu
from experiments.peers.errors import PeerError
from experiments.peers.oci import Crun
from experiments.peers.peer import command
from experiments.peers.podman import Podman


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
    with pytest.raises(PeerError, match="status 1: said on the wrong side"):
        await command("sh", "-c", "echo said on the wrong side; exit 1", what="It failed")
    with pytest.raises(PeerError, match=r"status 127: .*`make peers` installs"):
        await command("sh", "-c", "no-such-program", what="It failed")
    with pytest.raises(PeerError, match=r"It failed: not done after 0\.05 s"):
        await command("sleep", "3600", what="It failed", timeout_s=0.05)


async def test_a_machine_without_the_programs_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for kind in (Criu, Crun, Podman):
        with pytest.raises(PeerError, match="make peers"):
            async with kind():
                pytest.fail("there was no program to run it with")
