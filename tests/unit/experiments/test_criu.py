"""The peer CRIU where it cannot be: the reason names what is missing, or what criu said."""

from __future__ import annotations

import pathlib

import pytest

from experiments.peers import criu
from experiments.peers.criu import Criu
from experiments.peers.errors import PeerError


async def test_no_criu(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(criu, "BUILT", tmp_path / "criu")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerError, match=r"no criu on this machine\. Run `make peers`"):
        async with Criu():
            pass


@pytest.mark.parametrize("refused", ["check", "dump"])
async def test_what_criu_said_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, refused: str
) -> None:
    stub = tmp_path / "criu"
    stub.write_text(
        f'#!/bin/sh\n[ "$1" = {refused} ] || exit 0\necho "the vDSO is unknown" >&2\nexit 1\n'
    )
    stub.chmod(0o755)
    monkeypatch.setattr(criu, "BUILT", stub)
    with pytest.raises(PeerError, match=r"(?s)CRIU cannot.*the vDSO is unknown"):
        async with Criu():
            pass


async def test_a_restore_that_fails_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    stub = tmp_path / "criu"
    # As criu does, it writes what is wrong to the log that it was given.
    stub.write_text(
        '#!/bin/sh\n[ "$1" = restore ] || exit 0\n'
        'while [ "$1" != --log-file ]; do shift; done\necho "pages are missing" >"$2"\nexit 1\n'
    )
    stub.chmod(0o755)
    monkeypatch.setattr(criu, "BUILT", stub)
    with pytest.raises(PeerError, match="CRIU cannot restore a process: pages are missing"):
        async with Criu():
            pass
