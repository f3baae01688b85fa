"""The client of a daemon that is not well."""

from __future__ import annotations

import asyncio
import os
import pathlib

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.errors import NodeError
from orchestrator.nodes.client import NodeClient
from orchestrator.nodes.places import NodePlace, place


@pytest.fixture
def where(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> NodePlace:
    monkeypatch.setenv("SEUSS_RUNTIME", str(tmp_path / "run"))
    return place("one")


async def test_a_daemon_that_ends_within_a_line(where: NodePlace) -> None:
    async def end_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"status": {')
        writer.close()

    server = await asyncio.start_unix_server(end_early, str(where.socket))
    async with server, NodeClient(where) as client:
        with pytest.raises(NodeError, match="ended before it answered"):
            await client.status()


def test_a_node_that_is_starting_is_listed(where: NodePlace) -> None:
    lock = where.take()
    listed = CliRunner().invoke(main, ["node", "list"])
    os.close(lock)
    assert listed.exit_code == 0 and "one  does not answer" in listed.stdout
