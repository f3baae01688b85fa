"""The network-throughput experiment: one download of many MiB by a function, beside Linux guests.

The same function in the same interpreter, called by the host's clock: in a context of a node (hot),
in a machine of its own (warm), in a Linux guest of the same QEMU and accelerator, and in a process
without any network card between. Guests have a virtio card on QEMU's user-mode network. Rounds are
shuffled.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import random
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments import environment
from experiments.measurements import Measurements, Report
from experiments.own_stores import own_stores
from experiments.peers import line_up
from experiments.peers.errors import PeerError
from experiments.peers.linux_network import NetworkedMicroVm
from experiments.peers.linux_process import LinuxProcess
from experiments.peers.peer import Instance
from experiments.workloads import FOLDER
from orchestrator.function import Function
from orchestrator.paths import Path
from orchestrator.settings import DEFAULT_MEMORY_MIB, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store.errors import SeussError

NAME = "network-throughput"
ROUNDS = 8
QUICK_ROUNDS = 3
MIB = 64
HERE = "127.0.0.1"
HOST_OF_GUESTS = "10.0.2.2"
"""This machine's loopback, on a user-mode network."""
UC, VM = "uc", "vm"
TITLES: Mapping[str, str] = {
    UC: "SEUSS, context (uc)",
    VM: "SEUSS, a machine each (vm)",
    NetworkedMicroVm.name: "Linux guest",
    LinuxProcess.name: "Linux process, no guest",
}
SOURCE = FOLDER / "download.py"

Download = Callable[[], Awaitable[tuple[float, dict[str, Any]]]]
"""Calls the function; returns the seconds that it ran and its answer."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the machines, downloads per system, MiB of each, seed."""

    settings: Settings
    rounds: int
    seed: int
    mib: int = MIB


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Measurements:
    """Run the experiment and return its record, saved in `folder` after every round.

    A Linux guest that cannot run here, and a download that fails, are recorded with the reason.
    Raises SeussError when SEUSS's own cannot run, or what was received is not what was sent.
    """
    facts = (await environment.collect(plan.settings)).to_json()
    record = Measurements(NAME, facts, plan.seed, plan.rounds)
    expected = {"bytes": plan.mib << 20, "wrong": 0}
    source = SOURCE.read_bytes()
    async with serving(plan.mib << 20) as port, contextlib.AsyncExitStack() as stack:
        stores = stack.enter_context(own_stores(folder))
        network = replace(plan.settings, network=True, pool_size=1)
        own = {
            UC: replace(
                network,
                isolation="uc",
                memory_mib=max(network.memory_mib, DEFAULT_MEMORY_MIB["uc"]),
                store=stores / UC,
            ),
            VM: replace(network, isolation="vm", store=stores / VM),
        }
        systems: dict[str, Download] = {}
        for done, name in enumerate(TITLES):
            report(f"starting {TITLES[name]}", done, len(TITLES))
            if name in own:
                entered = _own(own[name], f"{HOST_OF_GUESTS}:{port}")
            else:
                entered = _other(name, facts["accelerator"], source, port)
            try:
                systems[name] = await stack.enter_async_context(entered)
            except PeerError as error:
                record.unavailable[name] = error.message
        for number in range(plan.rounds):
            names = list(systems)
            random.Random(f"{plan.seed}/{number}").shuffle(names)
            for done, name in enumerate(names):
                report(TITLES[name], number * len(names) + done, plan.rounds * len(names))
                try:
                    seconds, answer = await systems[name]()
                except SeussError as error:
                    record.unavailable[f"{TITLES[name]}, round {number}"] = error.message
                    continue
                if answer != expected:
                    raise SeussError(
                        f"{TITLES[name]} received something else than was sent: {answer}, "
                        f"expected {expected}. Look at the card's driver and the TCP stack."
                    )
                record.add("download", "MiB/s", plan.mib / seconds, number, system=name)
            record.save(folder)
    return record


@contextlib.asynccontextmanager
async def _own(settings: Settings, server: str) -> AsyncIterator[Download]:
    function = Function("download", "source", SOURCE.read_bytes(), network=(server,))
    uc = settings.isolation == "uc"
    async with UcDispatcher(settings) if uc else VmDispatcher(settings) as dispatcher:

        async def download() -> tuple[float, dict[str, Any]]:
            path = Path.HOT if uc else Path.WARM
            answer = await dispatcher.invoke(function, {"server": server}, path)
            if answer.error is not None or answer.result is None:
                raise SeussError(f"The download failed: {answer.error}.")
            return (answer.phases.run or 0.0) / 1000, answer.result

        # The first takes the snapshots, and has the emulator translate the guest's code.
        await download()
        yield download


@contextlib.asynccontextmanager
async def _other(name: str, accelerator: str, source: bytes, port: int) -> AsyncIterator[Download]:
    guest = name == NetworkedMicroVm.name
    host = HOST_OF_GUESTS if guest else HERE
    peer = NetworkedMicroVm(*line_up.processor(accelerator)) if guest else LinuxProcess()
    async with peer:
        instance: Instance = await peer.start()
        await instance.load(source)

        async def download() -> tuple[float, dict[str, Any]]:
            began = time.perf_counter()
            answer = await instance.call({"server": f"{host}:{port}"})
            return time.perf_counter() - began, answer

        await download()
        yield download


@contextlib.asynccontextmanager
async def serving(size: int) -> AsyncIterator[int]:
    """Serve that many bytes to whoever connects, on loopback; yield the port."""
    words = size // 8
    data = await asyncio.to_thread(lambda: struct.pack(f"<{words}Q", *range(words)))

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that gives up says so itself.
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(send, HERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
