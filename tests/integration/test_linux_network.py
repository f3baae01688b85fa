"""A Linux guest with a network card, for real: it downloads from this machine what was sent."""

from __future__ import annotations

import pytest

from experiments.network_throughput import HOST_OF_GUESTS, SOURCE, serving
from experiments.peers.errors import PeerError
from experiments.peers.linux_network import NetworkedMicroVm


async def test_downloads_over_its_card() -> None:
    size = 1 << 20
    try:
        async with serving(size) as port, NetworkedMicroVm() as peer:
            instance = await peer.start()
            server = {"server": f"{HOST_OF_GUESTS}:{port}"}
            answer = await instance.call(server, SOURCE.read_bytes())
    except PeerError as error:
        pytest.skip(error.message)
    assert answer == {"bytes": size, "wrong": 0}
