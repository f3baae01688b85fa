"""A soak of the whole platform by HTTP: `python -m experiments.soak`.

Starts `seuss serve` on a store of its own, deploys functions, and has clients invoke them with
arguments whose answers are known. Promises: no wrong answer, no lost request, the server's memory
and descriptors flat, the snapshots within their budget, and the gateway's own time (an answer's
time at the client without the waiting and the dispatcher's) at most a millisecond in the median,
measured with one client at a time. Prints one JSON object; the exit status is 1 when a promise is
broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import click

from orchestrator.runtimes import default_image
from orchestrator.settings import Isolation
from snapshot_store import PAGE_SIZE

CODE = """
NUMBER = {number}

def main(args):
    return {{"function": NUMBER, "sum": sum(args["terms"]) + NUMBER, "tag": args["tag"]}}
"""
BUSY_PAUSE_S = 0.05
SAMPLE_S = 1.0
WARMED = 0.4
"""Share of the run after which caches are full, so that memory has to be flat from then on."""
MOST_GROWTH = 0.10
MOST_DESCRIPTORS = 8
"""How much memory and descriptors may change between then and the end."""
OVERHEAD_ROUNDS = 300
MOST_OVERHEAD_MS = 1.0
QUIET_S = 5.0
"""The store is judged when nothing was added or removed for so long: captures are stored in the
pauses after a load, and the budget is looked after every two seconds."""
LONGEST_SETTLING_S = 90.0
MIB = 1 << 20
TIMING = re.compile(r"dur=([\d.]+)")


@dataclass
class Tally:
    """What came of a soak."""

    requests: int = 0
    wrong: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    paths: Counter[str] = field(default_factory=Counter)
    latency_ms: list[float] = field(default_factory=list)
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    """Requests' share done, the server's own bytes of memory, its descriptors."""
    overhead_ms: list[float] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving(
    store: pathlib.Path, isolation: Isolation, budget_mib: int, memory_mib: int
) -> AsyncIterator[tuple[str, int]]:
    """Run a gateway; yield its address and its process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "serve", "--port", "0", "--start", isolation),
        *("--store", str(store), "--snapshot-budget", str(budget_mib)),
        *("--image", str(default_image()), "--memory", str(memory_mib)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        if not line.startswith("serving on "):
            raise click.ClickException("seuss serve did not start; run it by hand to see why")
        yield line.split()[-1], process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def call(client: aiohttp.ClientSession, number: int, tally: Tally, random_: Any) -> None:
    """Make one invocation, again and again while it is refused, and check its answer."""
    terms = [random_.randrange(1000) for _ in range(5)]
    tag = f"{random_.getrandbits(64):x}"
    wanted = {"function": number, "sum": sum(terms) + number, "tag": tag}
    while True:
        began = time.perf_counter()
        async with client.post(
            f"/functions/f{number}/invoke", json={"terms": terms, "tag": tag}
        ) as answer:
            told = await answer.json()
        if answer.status != 429:
            break
        tally.refused += 1
        await asyncio.sleep(BUSY_PAUSE_S)
    tally.latency_ms.append((time.perf_counter() - began) * 1000)
    tally.requests += 1
    if answer.status != 200:
        tally.failures.append(json.dumps(told.get("error"))[:300])
    elif told["result"] != wanted:
        tally.wrong += 1
    else:
        tally.paths[told["path"]] += 1


async def soak(
    client: aiohttp.ClientSession, pid: int, tally: Tally, requests: int, functions: int,
    clients: int, seed: int,
) -> None:  # fmt: skip
    """Invoke from `clients` at once until `requests` were made; sample the server meanwhile."""
    left = iter(range(requests))

    async def one(who: int) -> None:
        random_ = random.Random(seed * 1000 + who)
        for _ in left:
            # Some functions are called far more often than others.
            number = min(int(random_.paretovariate(0.5)) - 1, functions - 1)
            if random_.random() < 0.5:
                number = random_.randrange(functions)
            await call(client, number, tally, random_)

    async def watch() -> None:
        while True:
            tally.samples.append((tally.requests / requests, *usage(pid)))
            await asyncio.sleep(SAMPLE_S)

    watching = asyncio.create_task(watch())
    try:
        await asyncio.gather(*map(one, range(clients)))
        tally.samples.append((1.0, *usage(pid)))
    finally:
        watching.cancel()


async def overhead(client: aiohttp.ClientSession, tally: Tally) -> None:
    """Measure the gateway's own time, one request after another."""
    for turn in range(OVERHEAD_ROUNDS):
        began = time.perf_counter()
        async with client.post("/functions/f0/invoke", json={"terms": [turn], "tag": ""}) as answer:
            await answer.read()
        total = (time.perf_counter() - began) * 1000
        tally.overhead_ms.append(
            total - sum(map(float, TIMING.findall(answer.headers["Server-Timing"])))
        )


def usage(pid: int) -> tuple[int, int]:
    """Return a process's own resident bytes and its number of descriptors."""
    entry = pathlib.Path("/proc") / str(pid)
    resident, shared = (int(word) for word in (entry / "statm").read_text().split()[1:3])
    return (resident - shared) * PAGE_SIZE, len(list((entry / "fd").iterdir()))


def stored(store: pathlib.Path) -> int:
    """Return the bytes of all snapshots' data."""
    total = 0
    for path in (store / "snapshots").glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # deleted just now
            total += path.stat().st_size if path.name != "manifest.json" else 0
    return total


async def settled(store: pathlib.Path) -> int:
    """Wait until a store is quiet; return the bytes of all snapshots' data."""
    kept, since, began = stored(store), time.monotonic(), time.monotonic()
    while time.monotonic() - since < QUIET_S and time.monotonic() - began < LONGEST_SETTLING_S:
        await asyncio.sleep(SAMPLE_S / 2)
        now = stored(store)
        if now != kept:
            kept, since = now, time.monotonic()
    return kept


def judged(tally: Tally, requests: int, kept: int, budget: int) -> dict[str, bool]:
    """Return each promise, and whether it was kept."""
    warmed = [sample for sample in tally.samples if sample[0] >= WARMED]
    first, last = warmed[: max(1, len(warmed) // 4)], warmed[-max(1, len(warmed) // 4) :]
    memory = [statistics.median(sample[1] for sample in part) for part in (first, last)]
    descriptors = [statistics.median(sample[2] for sample in part) for part in (first, last)]
    return {
        "no wrong answer": tally.wrong == 0 and not tally.failures,
        "no lost request": tally.requests == requests,
        "memory flat": memory[1] <= memory[0] * (1 + MOST_GROWTH),
        "descriptors flat": abs(descriptors[1] - descriptors[0]) <= MOST_DESCRIPTORS,
        "snapshots within budget": kept <= budget,
        "gateway's median at most 1 ms": statistics.median(tally.overhead_ms) <= MOST_OVERHEAD_MS,
    }


async def run(
    requests: int, functions: int, clients: int, isolation: Isolation, budget_mib: int,
    memory_mib: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Soak a platform; return all that was seen."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="seuss-soak-") as folder:
        store = pathlib.Path(folder)
        async with serving(store, isolation, budget_mib, memory_mib) as (url, pid):
            limits = aiohttp.TCPConnector(limit=clients)
            async with aiohttp.ClientSession(url, connector=limits) as client:
                for number in range(functions):
                    body = {"code": CODE.format(number=number), "isolation": isolation}
                    async with client.put(f"/functions/f{number}", json=body) as answer:
                        answer.raise_for_status()
                began = time.perf_counter()
                await soak(client, pid, tally, requests, functions, clients, seed)
                seconds = time.perf_counter() - began
                await overhead(client, tally)
            kept = await settled(store)
    promises = judged(tally, requests, kept, budget_mib * MIB)
    told = asdict(tally) | {"paths": dict(tally.paths), "failures": tally.failures[:20]}
    latencies = sorted(told.pop("latency_ms"))
    overheads = sorted(told.pop("overhead_ms"))
    return told | {
        "failed": len(tally.failures),
        "seconds": round(seconds, 1),
        "requests_per_second": round(requests / seconds, 1),
        "median_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[len(latencies) * 99 // 100],
        "gateway_median_ms": statistics.median(overheads),
        "gateway_p99_ms": overheads[len(overheads) * 99 // 100],
        "stored_bytes": kept,
        "budget_bytes": budget_mib * MIB,
        "seed": seed,
        "promises": promises,
    }


@click.command()
@click.option("--requests", default=20_000, show_default=True, help="Invocations in all.")
@click.option("--functions", default=200, show_default=True, help="Functions deployed.")
@click.option("--clients", default=16, show_default=True, help="Clients at once.")
@click.option("--isolation", type=click.Choice(("uc", "vm")), default="uc", show_default=True)
@click.option("--budget", default=64, show_default=True, help="Snapshots' budget in MiB.")
@click.option("--memory", default=512, show_default=True, help="The node's memory in MiB.")
@click.option("--seed", default=1, show_default=True, help="Of the clients' choices.")
def main(
    requests: int, functions: int, clients: int, isolation: Isolation, budget: int, memory: int,
    seed: int,
) -> None:  # fmt: skip
    """Soak the platform and say which promises it kept."""
    told = asyncio.run(run(requests, functions, clients, isolation, budget, memory, seed))
    click.echo(json.dumps(told))
    if not all(told["promises"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
