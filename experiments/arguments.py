"""The arguments experiment: what the third level gains, by the share of common computation.

One function computes a fixed number of turns, of which a share depends on the snapshot point's
arguments alone. Warm does all of it; resumed goes on from the point. Without any cost of its own
the third level would gain 1 / (1 - share). Beside it the example that people are shown: a search
in texts, in isolation vm also with a machine that stands at the point already.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import random
from dataclasses import dataclass, replace

from experiments import environment
from experiments.measurements import Measurements, Report
from experiments.own_stores import own_stores
from experiments.point_function import expected, point_function
from experiments.search_example import documents, question, search_function
from orchestrator.paths import Path
from orchestrator.settings import DEFAULT_MEMORY_MIB, Isolation, Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store.errors import SeussError

NAME = "arguments"
ROUNDS = 15
QUICK_ROUNDS = 4
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
TURNS = 100_000
"""About 100 ms in the guest under TCG."""
PATHS = (Path.WARM, Path.RESUMED)
ISOLATIONS: tuple[Isolation, ...] = ("vm", "uc")
AHEAD = "ahead"
"""A dispatcher of isolation vm with a machine that stands restored at the point used last."""
EXAMPLES = ("vm", AHEAD, "uc")


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the nodes, samples per share and path, seed of the order."""

    settings: Settings
    rounds: int
    seed: int


def order(seed: int, number: int) -> list[tuple[Isolation, float, Path]]:
    """Isolations, shares and paths in the random order of one round."""
    shuffled = [(each, share, path) for each in ISOLATIONS for share in SHARES for path in PATHS]
    random.Random(f"{seed}/{number}").shuffle(shuffled)
    return shuffled


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> Measurements:
    """Measure and return the record, saved in `folder` after every round.

    Raises SeussError when a node cannot run; an invocation that fails is recorded.
    """
    facts = await environment.collect(plan.settings)
    record = Measurements(NAME, facts.to_json(), plan.seed, plan.rounds)
    function = point_function()
    steps = plan.rounds * len(order(plan.seed, 0))
    with own_stores(folder) as stores:
        async with contextlib.AsyncExitStack() as stack:
            nodes: dict[str, VmDispatcher | UcDispatcher] = {}
            for name in EXAMPLES:
                isolation: Isolation = "uc" if name == "uc" else "vm"
                own = replace(
                    plan.settings,
                    isolation=isolation,
                    memory_mib=max(plan.settings.memory_mib, DEFAULT_MEMORY_MIB[isolation]),
                    store=stores / isolation,
                    restored_ahead=int(name == AHEAD),
                )
                dispatcher = VmDispatcher(own) if isolation == "vm" else UcDispatcher(own)
                nodes[name] = await stack.enter_async_context(dispatcher)
                for share in SHARES if name != AHEAD else ():
                    await dispatcher.invoke(function, _arguments(share), Path.RESUMED)
                await dispatcher.flush()
            for number in range(plan.rounds):
                for place, (isolation, share, path) in enumerate(order(plan.seed, number)):
                    report(
                        f"{isolation} {path} {share:g}",
                        number * len(order(plan.seed, 0)) + place,
                        steps,
                    )
                    labels = {"isolation": isolation, "path": path.value, "share": f"{share:g}"}
                    for each in nodes.values():
                        await each.prepare(1)
                    try:
                        done = await nodes[isolation].invoke(function, _arguments(share), path)
                    except SeussError as error:
                        record.unavailable[f"round {number}, {labels}"] = error.message
                        continue
                    await nodes[isolation].flush()
                    if done.result != expected(**_arguments(share)):
                        record.unavailable[f"round {number}, {labels}"] = f"{done.error}"
                        continue
                    record.add("latency", "ms", done.latency_ms, number, **labels)
                await _example(record, nodes, number)
                record.save(folder)
    return record


async def _example(
    record: Measurements, nodes: dict[str, VmDispatcher | UcDispatcher], number: int
) -> None:
    """Take the example's round: each way warm and resumed; all must answer alike."""
    texts, function = documents(), search_function()
    if not texts:
        record.unavailable["example"] = "this machine has no licences to search in"
        return
    args, answers = question(texts, number), set()
    ways = [(name, path) for name in EXAMPLES for path in PATHS]
    random.Random(f"{record.seed}/example/{number}").shuffle(ways)
    for name, path in ways:
        try:
            if path is Path.RESUMED:
                # The one before it, whose successor this is.
                await nodes[name].invoke(function, args)
            await nodes[name].flush()
            for each in nodes.values():
                await each.prepare(1)
            done = await nodes[name].invoke(function, args, path)
        except SeussError as error:
            record.unavailable[f"round {number}, example, {name} {path}"] = error.message
            continue
        answers.add(json.dumps(done.result))
        if done.error is not None or len(answers) > 1:
            record.unavailable[f"round {number}, example, {name} {path}"] = f"{done.error}"
            continue
        record.add("example", "ms", done.latency_ms, number, way=name, path=path.value)


def _arguments(share: float) -> dict[str, int]:
    common = round(TURNS * share)
    return {"common": common, "own": TURNS - common}
