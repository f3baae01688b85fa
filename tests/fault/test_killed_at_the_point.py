"""QEMU killed while a function goes to its snapshot point, is captured there, or goes on."""

from __future__ import annotations

import pathlib
import random

from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store import Level, SnapshotStore
from tests.fault.conftest import check_store, real_image
from tests.fault.machine_steps import Killer, check_told, kill_after

KILLS = 10
LONGEST_S = 0.4
"""A call to the point and on takes about so long."""
FUNCTION = Function(
    "pointed",
    "source",
    b"import seuss\n"
    b"def main(args):\n"
    b"    table = [n % args['model'] for n in range(20000)]\n"
    b"    args = seuss.snapshot_point('model')\n"
    b"    return {'sum': sum(table) + args['n']}\n",
)


async def test_killed_around_the_point_at_random_moments(
    tmp_path: pathlib.Path, nothing_left: pathlib.Path, chance: random.Random
) -> None:
    settings = real_image(tmp_path / "store")

    def right(outcome: object, model: int, n: int) -> bool:
        expected = {"sum": sum(each % model for each in range(20000)) + n}
        return isinstance(outcome, Invocation) and outcome.result == expected

    async with VmDispatcher(settings) as dispatcher:
        assert right(await dispatcher.invoke(FUNCTION, {"model": 1, "n": 1}), 1, 1)
        for number in range(KILLS):
            args = {"model": number // 2 + 2, "n": number}

            async def act(killer: Killer, args: dict[str, int] = args) -> Invocation:
                return await dispatcher.invoke(FUNCTION, args)

            outcome = await kill_after(chance.uniform(0, LONGEST_S), act)
            if not right(outcome, **args):
                check_told(outcome)
            # Whatever was captured is whole: the next calls go on from it, and are right.
            for path in (Path.AUTO, Path.RESUMED):
                assert right(await dispatcher.invoke(FUNCTION, args, path), **args)
    check_store(settings.store)
    with SnapshotStore(settings.store) as store:
        assert store.find(level=Level.ARGUMENT, function=FUNCTION.id)
