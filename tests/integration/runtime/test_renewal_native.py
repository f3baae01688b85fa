"""What makes restored clones differ: all that is drawn anew when SYNC tells of a restore."""

from __future__ import annotations

import random

import pytest

from orchestrator.wire import Frame, MessageType
from tests.integration.runtime.native_runner import NativeRunner

DRAW = """
import random, seuss, tempfile, uuid

unseeded = random.Random()
seeded = random.Random(7)
restored = random.Random()
restored.setstate(random.Random(8).getstate())
uuid.getnode()
calls = []

@seuss.on_restore
def note():
    calls.append(seuss.generation())

def main(args):
    name = next(tempfile._get_candidate_names())
    return {"random": random.random(), "unseeded": unseeded.random(), "seeded": seeded.random(),
        "restored": restored.random(), "node": uuid._node, "uuid1": str(uuid.uuid1()),
        "name": name, "generation": seuss.generation(), "calls": calls}
"""


def test_a_restore_renews_what_was_not_seeded(runner: NativeRunner) -> None:
    assert runner.result_of(DRAW)["node"] is not None
    runner.sync(5)
    first = runner.invoke().json()
    runner.sync(6)
    second = runner.invoke().json()
    assert (first["generation"], second["generation"]) == (5, 6)
    assert second["calls"] == [5, 6]
    # Where a real network card's address is known, uuid1 rightly finds it again.
    assert (first["node"], second["node"]) == (None, None)
    assert first["uuid1"] != second["uuid1"]
    seeded = random.Random(7)
    assert [seeded.random() for _ in range(3)][1:] == [first["seeded"], second["seeded"]]
    restored = random.Random(8)
    assert [restored.random() for _ in range(3)][1:] == [first["restored"], second["restored"]]


def test_clones_of_one_state_draw_differently(runner: NativeRunner) -> None:
    # fork makes true clones: each child is the whole runner, state and all.
    code = (
        "import os, random, uuid, tempfile\n"
        "own, fixed = random.Random(), random.Random(3)\n"
        "names = tempfile._get_candidate_names()\n"
        "next(names)\n"
        "import _seuss_renewal\n"
        "def main(args):\n"
        "    drawn = []\n"
        "    for child in range(2):\n"
        "        reader, writer = os.pipe()\n"
        "        if not os.fork():\n"
        "            if args['renew']: _seuss_renewal.renew(1)\n"
        "            values = [random.random(), own.random(), next(names), fixed.random()]\n"
        "            os.write(writer, repr(values).encode())\n"
        "            os._exit(0)\n"
        "        os.wait()\n"
        "        drawn.append(eval(os.read(reader, 4096)))\n"
        "    return {'same': [a == b for a, b in zip(*drawn)]}\n"
    )
    # fork itself renews the module's own generator and the names: the control shows the other.
    assert runner.result_of(code, {"renew": False}) == {"same": [False, True, False, True]}
    assert runner.invoke({"renew": True}).json() == {"same": [False, False, False, True]}


def test_a_callback_that_fails_is_told_and_stops_nothing(runner: NativeRunner) -> None:
    code = (
        "import seuss\nn = []\n"
        "seuss.on_restore(lambda: 1 / 0)\nseuss.on_restore(lambda: n.append(1))\n"
        "def main(args): return {'n': len(n)}\n"
    )
    runner.result_of(code)
    runner.sync(1)
    assert runner.invoke().json() == {"n": 1}
    _, err = runner.end()
    assert "on_restore" in err
    assert "ZeroDivisionError" in err


def test_hashes_differ_between_processes(runner: NativeRunner) -> None:
    code = "def main(args): return {'hash': hash('some text')}"
    with NativeRunner() as other:
        assert runner.result_of(code) != other.result_of(code)


def test_a_callback_goes_with_its_function(runner: NativeRunner) -> None:
    runner.result_of("import seuss\nseuss.on_restore(print)\ndef main(args): return {}\n")
    runner.result_of("def main(args): return {}\n")
    runner.sync(1)
    runner.invoke()
    assert runner.end() == ("", "")


STATES = """
import random
from seuss_runner import renewal

class Odd(random.Random):
    def __eq__(self, other): raise RuntimeError

own, odd, seeded, gone = random.Random(), Odd(), random.Random(5), random.Random()
own.gauss(0, 1)
seeded.gauss(0, 1)

def main(args):
    global gone
    if args.get("drop"):
        gone = None
    return {"states": [repr(g.getstate()) for g in (own, odd, random, seeded)],
        "gauss": [own.gauss_next is None, seeded.gauss_next is None],
        "watched": len(renewal._unseeded)}
"""


def test_every_generator_without_a_seed_is_renewed(runner: NativeRunner) -> None:
    first = runner.result_of(STATES)
    runner.sync(1)
    second = runner.invoke().json()
    same = [a == b for a, b in zip(first["states"], second["states"], strict=True)]
    assert same == [False, False, False, True]
    assert first["gauss"] == [False, False]
    assert second["gauss"] == [True, False]


def test_generators_that_are_gone_are_forgotten(runner: NativeRunner) -> None:
    watched = runner.result_of(STATES)["watched"]
    assert runner.invoke({"drop": True}).json()["watched"] == watched
    runner.sync(1)
    assert runner.invoke().json()["watched"] == watched - 1


def test_threads_may_make_generators_meanwhile(runner: NativeRunner) -> None:
    code = (
        "import random, threading\nkept, go = [], True\n"
        "def make():\n"
        "    while go:\n"
        "        kept[:] = [random.Random() for _ in range(50)]\n"
        "thread = threading.Thread(target=make)\nthread.start()\n"
        "def main(args):\n"
        "    global go\n"
        "    if args.get('stop'):\n"
        "        go = False\n"
        "        thread.join()\n"
        "    return {'drawn': random.random()}\n"
    )
    drawn = {runner.result_of(code)["drawn"]}
    for generation in range(20):
        runner.sync(generation)
        drawn.add(runner.invoke().json()["drawn"])
    assert len(drawn) == 21
    runner.invoke({"stop": True})


@pytest.mark.parametrize("generation", [0, 1, 2**64 - 1])
def test_the_generation_is_what_sync_says(runner: NativeRunner, generation: int) -> None:
    runner.result_of("import seuss\ndef main(args): return {'g': seuss.generation()}")
    runner.sync(generation)
    assert runner.invoke().json() == {"g": generation}


@pytest.mark.parametrize("size", [0, 47, 49])
def test_a_sync_of_another_size_is_refused(runner: NativeRunner, size: int) -> None:
    refused = runner.request(MessageType.SYNC, bytes(size))
    assert refused.type is MessageType.ERROR
    assert "48 bytes" in refused.json()["message"]
    assert runner.result_of("def main(args): return {}") == {}


def test_a_sync_may_arrive_in_pieces(runner: NativeRunner) -> None:
    sync = Frame(MessageType.SYNC, bytes(48)).encode()
    runner.result_of("import seuss\nseuss.on_restore(lambda: print('told'))\ndef main(a): return a")
    runner.send_bytes(sync, 5)
    assert runner.invoke({"n": 1}).json() == {"n": 1}
    assert runner.end()[0] == "told\n"
