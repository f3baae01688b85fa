"""The micro-preemption experiment: what stopping functions costs, how fast and how safe it is.

Throughput of SHA-512 of 64 bytes against the quantum, beside the same library called in a bare loop
under the same tick and beside as busy a neighbour, which shows the machine's own share; jitter of
the tick; the wait of a request behind a function that spins; memory over 100,000 stopped calls;
workers that survive, by mechanism.
"""

from __future__ import annotations

import pathlib
import random

from experiments import micro_runs
from experiments.micro_runs import Generator, MicroRecord, Parameters, Plan, Report
from orchestrator.micro.build import Product

NAME = "micro-preemption"
ROUNDS = 9
QUICK_ROUNDS = 3
QUANTA_NS = (3_000, 5_000, 10_000, 20_000, 40_000, 60_000, 100_000, 200_000, 500_000, 1_000_000)
NO_TICK = 0
JUDGED_QUANTUM_NS = 20_000
"""The paper's, by which throughput is judged; measured more often than the others."""
JUDGED_OFTEN = 3
"""Times in each round."""
BUDGET_US = 93
"""The paper's."""
DELAY_QUANTA_NS = (20_000, 100_000)
LEAK_QUANTUM_NS = 100_000
LEAK_CALLS = 100_000
QUICK_LEAK_CALLS = 10_000
LEAK_S = 200
LEAK_FUNCTION = "allocate"
"""Always stopped with some blocks in hand; one that allocates nothing could not leak."""
"""Seconds after which the stopped calls end, however many they were."""
SURVIVAL_FUNCTIONS = ("spin", "allocate", "sort")
MECHANISMS = ("escape", "unwind")
SURVIVAL_BATCH = 500
SURVIVAL_WORKERS = 20
QUICK_SURVIVAL_WORKERS = 5
HASHES = 200
"""In one call, so that the load generator's own pace does not show in the function's."""

WORKER, BARE, JITTER = "worker", "bare loop", "jitter"
REQUESTS = "worker, a request per hash"
DELAY, LEAK, SURVIVAL = "delay", "leak", "survival"


def order(seed: int, number: int) -> list[tuple[str, int]]:
    """Ways and quanta in the random order of one round; the same for the same seed."""
    ways = (WORKER, BARE, REQUESTS)
    shuffled = [(way, quantum) for way in ways for quantum in (*QUANTA_NS, NO_TICK)]
    judged = [(way, quantum) for way in (WORKER, BARE) for quantum in (JUDGED_QUANTUM_NS, NO_TICK)]
    shuffled += judged * (JUDGED_OFTEN - 1)
    shuffled += [(JITTER, quantum) for quantum in QUANTA_NS]
    shuffled += [(DELAY, quantum) for quantum in DELAY_QUANTA_NS]
    random.Random(f"{seed}/{number}").shuffle(shuffled)
    return shuffled


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> MicroRecord:
    """Run the experiment and return its record, saved in `folder` after every part.

    Raises SeussError when the toolchain is not there; a failed measurement is recorded.
    """
    record = MicroRecord(NAME, micro_runs.facts(), plan.seed, plan.rounds)
    with micro_runs.generator(plan, folder) as load:
        steps = plan.rounds * len(order(plan.seed, 0)) + 1
        steps += len(MECHANISMS) * len(SURVIVAL_FUNCTIONS)
        for number in range(plan.rounds):
            for way, quantum in order(plan.seed, number):
                report(f"{way}, {quantum / 1000:g} us", len(record.runs), steps)
                await _one(load, record, number, way, quantum)
            record.save(folder)
        report(LEAK, len(record.runs), steps)
        calls = QUICK_LEAK_CALLS if plan.quick else LEAK_CALLS
        await _stopped(load, record, 0, LEAK, LEAK_QUANTUM_NS, calls, LEAK_S, LEAK_FUNCTION)
        record.save(folder)
        workers = QUICK_SURVIVAL_WORKERS if plan.quick else SURVIVAL_WORKERS
        for function in SURVIVAL_FUNCTIONS:
            for mechanism in MECHANISMS:
                report(f"{function}, {mechanism}", len(record.runs), steps)
                await _survival(load, record, function, mechanism, workers)
    record.save(folder)
    return record


async def _one(load: Generator, record: MicroRecord, number: int, way: str, quantum: int) -> None:
    if way == DELAY:
        await _stopped(load, record, number, DELAY, quantum, 1000, 3)
        return
    function, payload = "hashes", f'{{"hashes": {HASHES}}}'.encode()
    if way == REQUESTS:
        function, payload = "sha512", bytes(range(64))
    functions = [await load.product(function, Product.ESCAPE)]
    measurement = {BARE: "bare", JITTER: "jitter"}.get(way, "throughput")
    parameters = {"quantum_ns": quantum, "milliseconds": 300}
    if way == JITTER:
        parameters["requests"] = 2000
    record.runs.append(await load.run(measurement, way, number, functions, parameters, payload))


async def _stopped(
    load: Generator,
    record: MicroRecord,
    number: int,
    way: str,
    quantum: int,
    calls: int,
    seconds: int,
    function: str = "spin",
) -> None:
    functions = [await load.product(name, Product.ESCAPE) for name in (function, "timestamp")]
    parameters = {
        "quantum_ns": quantum,
        "requests": calls,
        "budget_us": BUDGET_US,
        "milliseconds": 1000 * seconds,
    }
    record.runs.append(await load.run("preempted", way, number, functions, parameters, of=function))


async def _survival(
    load: Generator, record: MicroRecord, function: str, mechanism: str, workers: int
) -> None:
    functions = [await load.product(function, Product(mechanism))]
    parameters: Parameters = {
        "mechanism": mechanism,
        "quantum_ns": LEAK_QUANTUM_NS,
        "budget_us": BUDGET_US,
        "batch": SURVIVAL_BATCH,
        "requests": workers * SURVIVAL_BATCH,
    }
    record.runs.append(await load.run("survival", SURVIVAL, 0, functions, parameters, of=function))
