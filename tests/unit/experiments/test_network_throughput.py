"""The network-throughput experiment: what the function counts, report, verdict and plot."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from experiments import network_throughput_report as report
from experiments.functions import download
from experiments.measurements import Measurements
from experiments.network_throughput import NAME, TITLES, UC, serving
from experiments.peers.linux_network import NetworkedMicroVm
from experiments.plots import network_throughput as plot


@pytest.fixture
def record() -> Measurements:
    """A run in which a context is twice as fast as a Linux guest."""
    made = Measurements(NAME, {"accelerator": "tcg", "started": 1.7e9}, seed=1, rounds=2)
    for number in range(2):
        for place, name in enumerate(TITLES):
            rate = 100.0 if name == UC else 50.0 + place / 100
            made.add("download", "MiB/s", rate, number, system=name)
    return made


async def test_the_function_counts_what_came_and_looks_at_its_order() -> None:
    size = 1 << 20
    async with serving(size) as port:
        answer = await asyncio.to_thread(download.main, {"server": f"127.0.0.1:{port}"})
    assert answer == {"bytes": size, "wrong": 0}


async def test_the_function_sees_bytes_out_of_place() -> None:
    data = bytes(4096)

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\1" + data)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await asyncio.to_thread(download.main, {"server": f"127.0.0.1:{port}"})
    assert answer["bytes"] == 4097
    assert answer["wrong"] != 0


def test_verdict(record: Measurements) -> None:
    (judged,) = report.check(record)
    assert judged.passed
    assert judged.value == pytest.approx(100 / 50.02)
    guest = {"system": NetworkedMicroVm.name}
    kept = [each for each in record.samples if each.labels != guest]
    record.samples = kept
    record.unavailable[NetworkedMicroVm.name] = "There is no Linux kernel."
    (judged,) = report.check(record)
    assert (judged.passed, judged.detail) == (None, "There is no Linux kernel.")
    assert "| Linux guest | not measured | - | There is no Linux kernel. |" in report.render(record)


def test_report_and_plot(record: Measurements, tmp_path: pathlib.Path) -> None:
    text = report.render(record)
    assert "(TCG)" in text
    assert "| SEUSS, context (uc) | 100 (range 100 to 100, n = 2) | 2 (" in text
    for path in plot.draw(record, tmp_path):
        assert path.stat().st_size > 1000
