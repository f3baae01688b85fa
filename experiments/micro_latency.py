"""The micro-latency experiment: Micro's Table 1. Warm and cold, as processes and as libraries.

The paper's function (timestamp) behind the same shared-memory channel in every warm way. All ways
are measured in every round, in an order shuffled with a stored seed, by a native load generator.
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from experiments import micro_runs
from experiments.micro_runs import MicroRecord, Parameters, Plan, Report
from orchestrator.micro.build import Product

NAME = "micro-latency"
ROUNDS = 10
QUICK_ROUNDS = 3
RESIDENT = 5000
"""Functions, as in the paper's text."""
QUICK_RESIDENT = 500
COPIES = 100
"""Different libraries and programs that the cold ways take by turns."""
PROCESSES = 16
"""Resident processes that the warm way takes by turns."""
QUANTUM_NS = 1_000_000
PAPER_QUANTUM_NS = 20_000


@dataclass(frozen=True)
class Way:
    """One way to serve the function."""

    name: str
    measurement: str
    product: Product
    functions: int
    parameters: Parameters


_BUSY: Parameters = {"quantum_ns": QUANTUM_NS, "requests": 5000, "warm_up": 500}
_COLD: Parameters = {"quantum_ns": QUANTUM_NS, "requests": 500, "warm_up": COPIES}

LANGUAGE_WARM = Way("language warm", "warm", Product.ESCAPE, 1, _BUSY)
LANGUAGE_WARM_TICK = Way(
    *("language warm, 20 us tick", "warm", Product.ESCAPE, 1),
    {**_BUSY, "quantum_ns": PAPER_QUANTUM_NS},
)
LANGUAGE_WOKEN = Way(
    *("language warm, worker asleep", "warm", Product.ESCAPE, 1),
    {"quantum_ns": QUANTUM_NS, "requests": 300, "warm_up": 20, "spin_us": 0, "pause_us": 300},
)
PROCESS_WARM = Way(
    *("process warm", "process-warm", Product.PROCESS, PROCESSES),
    {"requests": 1000, "warm_up": 50},
)
LANGUAGE_COLD = Way("language cold", "cold", Product.ESCAPE, COPIES, _COLD)
LANGUAGE_COLD_STD = Way(
    *("language cold, library with std", "cold", Product.UNWIND, COPIES),
    {**_COLD, "mechanism": "unwind"},
)
PROCESS_COLD = Way(
    *("process cold", "process-cold", Product.PROCESS, COPIES),
    {"requests": 100, "warm_up": 5},
)
LATENCIES = (
    *(LANGUAGE_WARM, LANGUAGE_WARM_TICK, LANGUAGE_WOKEN, PROCESS_WARM),
    *(LANGUAGE_COLD, LANGUAGE_COLD_STD, PROCESS_COLD),
)
LANGUAGE_RATE = Way(
    *("language throughput", "throughput", Product.ESCAPE, 1),
    {"quantum_ns": QUANTUM_NS, "milliseconds": 300},
)
PROCESS_RATE = Way(
    *("process throughput", "process-throughput", Product.PROCESS, PROCESSES),
    {"milliseconds": 300},
)
RATES = (LANGUAGE_RATE, PROCESS_RATE)
LANGUAGE_MEMORY = Way("language memory", "memory", Product.ESCAPE, RESIDENT, {"quantum_ns": 0})
PROCESS_MEMORY = Way("process memory", "process-memory", Product.PROCESS, RESIDENT, {})


def order(seed: int, number: int) -> list[Way]:
    """The ways in the random order of one round; the same for the same seed."""
    shuffled = [*LATENCIES, *RATES]
    random.Random(f"{seed}/{number}").shuffle(shuffled)
    return shuffled


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> MicroRecord:
    """Run the experiment and return its record, saved in `folder` after every round.

    Raises SeussError when the toolchain is not there; a failed measurement is recorded.
    """
    record = MicroRecord(NAME, micro_runs.facts(), plan.seed, plan.rounds)
    with micro_runs.generator(plan, folder) as load:
        products = {
            product: await load.product("timestamp", product)
            for product in (Product.ESCAPE, Product.UNWIND, Product.PROCESS)
        }
        most = {product: await load.copies(products[product], COPIES) for product in products}
        steps = plan.rounds * len(order(plan.seed, 0)) + 2
        for number in range(plan.rounds):
            for way in order(plan.seed, number):
                report(way.name, len(record.runs), steps)
                functions: Sequence[pathlib.Path] = most[way.product][: way.functions]
                record.runs.append(
                    await load.run(way.measurement, way.name, number, functions, way.parameters)
                )
            record.save(folder)
        resident = QUICK_RESIDENT if plan.quick else RESIDENT
        for way in (LANGUAGE_MEMORY, PROCESS_MEMORY):
            report(way.name, len(record.runs), steps)
            functions = await load.copies(products[way.product], resident)
            record.runs.append(
                await load.run(way.measurement, way.name, 0, functions, way.parameters)
            )
    record.save(folder)
    return record
