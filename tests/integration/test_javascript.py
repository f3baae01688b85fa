"""JavaScript functions with the real image: one node of contexts, one of machines."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.anticipation import Anticipation
from orchestrator.function import Function
from orchestrator.invocation import Invocation
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.uc.dispatcher import UcDispatcher
from orchestrator.vm.dispatcher import VmDispatcher
from snapshot_store import Level, SnapshotStore
from tests.integration.guests import holdings

CLOCK_SLACK_S = 0.05
CLONES = 20
MOST_BASE_BYTES = 4_000_000
MOST_FUNCTION_BYTES = 300_000


def function(name: str, code: str) -> Function:
    return Function(name, "source", code.encode(), runtime="js")


NOP = function("nop", "function main(args) {\n  return {};\n}\n")
ECHO = function(
    "echo",
    """
let calls = 0;
function main(args) {
  console.log("calls", ++calls);
  console.error("to stderr");
  return {echo: args, url: new URL("../x", "http://localhost/a/b").href};
}
""",
)
UNIQUE = function(
    "unique",
    """
export async function main() {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return {time: Date.now() / 1000, values: [Math.random(), crypto.randomUUID(),
    String(crypto.getRandomValues(new Uint8Array(16)))]};
}
""",
)
HARMFUL = function(
    "harmful",
    """
function main({what}) {
  if (what === "spin") for (;;) {}
  if (what === "memory") for (const kept = [];;) kept.push(new Uint8Array(1 << 20).fill(1));
  if (what === "raise") throw new RangeError("asked for");
  if (what === "number") return 5;
  return {};
}
""",
)
BROKEN = function("broken", "function main( {")
COUNTING = function(
    "counting",
    """
function main(args) {
  console.log("building", args.model);
  if (args.model === "bad") throw new Error("no such model");
  const before = {model: args.model, random: Math.random()};
  let refused = "";
  try { args.secret } catch (error) { refused = error.name; }
  const all = seuss.snapshotPoint("model");
  console.log("asked", all.n);
  return {before, refused, n: args.n, keys: Object.keys(all), after: Math.random(), all};
}
""",
)


class Node:
    """A dispatcher of one isolation in an event loop of its own."""

    def __init__(
        self, loop: asyncio.Runner, settings: Settings, dispatcher: UcDispatcher | VmDispatcher
    ) -> None:
        self.loop = loop
        self.settings = settings
        self.dispatcher = dispatcher

    def invoke(
        self, called: Function, args: dict[str, object], path: Path = Path.AUTO
    ) -> Invocation:
        return self.loop.run(self.dispatcher.invoke(called, args, path, 5.0))


@pytest.fixture(scope="module", params=["uc", "vm"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """What all tests of one isolation share; nothing may be left of it."""
    before = holdings()
    settings = Settings(
        store=tmp_path_factory.mktemp("store"),
        accelerator="tcg",
        isolation=request.param,
        pool_size=1,
    ).for_runtime("js")
    dispatcher: UcDispatcher | VmDispatcher
    dispatcher = UcDispatcher(settings) if request.param == "uc" else VmDispatcher(settings)
    with asyncio.Runner() as loop:
        loop.run(dispatcher.__aenter__())
        try:
            yield Node(loop, settings, dispatcher)
        finally:
            loop.run(dispatcher.__aexit__(None, None, None))
    descriptors, *others = holdings()
    # pytest-asyncio may close the loop of a test in another file while this one runs.
    assert descriptors <= before[0]
    assert tuple(others) == before[1:]


def test_every_path_gives_the_same_answer(node: Node) -> None:
    arguments: dict[str, object] = {"text": "äöü", "numbers": [1, 2.5, None]}
    paths = [Path.AUTO, Path.WARM, Path.COLD, Path.BOOTED]
    if node.settings.isolation == "uc":
        paths.insert(2, Path.HOT)
    answers = [node.invoke(ECHO, arguments, path) for path in paths]
    assert [answer.path for answer in answers] == [Path.COLD, *paths[1:]]
    for answer in answers:
        assert answer.result == {"echo": arguments, "url": "http://localhost/x"}
        calls = 2 if answer.path is Path.HOT else 1
        assert (answer.stdout, answer.stderr) == (f"calls {calls}\n", "to stderr\n")


def test_the_network_alone_can_be_anticipated(node: Node, tmp_path: pathlib.Path) -> None:
    settings = replace(node.settings, ao=Anticipation.NETWORK, store=tmp_path)
    maker = UcDispatcher if settings.isolation == "uc" else VmDispatcher

    async def run() -> list[Invocation]:
        async with maker(settings) as dispatcher:
            return [await dispatcher.invoke(NOP, {}, path) for path in (Path.COLD, Path.WARM)]

    assert [answer.result for answer in node.loop.run(run())] == [{}, {}]
    with SnapshotStore(tmp_path) as store:
        (base,) = store.find(level=Level.BASE)
        assert (base.ao, base.facts["ao"]) == (True, "network")


def test_no_two_clones_draw_the_same(node: Node) -> None:
    seen: set[object] = set()
    for _ in range(CLONES):
        before = time.time()
        answer = node.invoke(UNIQUE, {}, Path.WARM)
        after = time.time()
        assert answer.result is not None, answer.error
        assert before - CLOCK_SLACK_S <= answer.result["time"] <= after + CLOCK_SLACK_S
        seen.update(answer.result["values"])
    assert len(seen) == 3 * CLONES


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("spin", "timeout"),
        ("memory", "memory-limit"),
        ("raise", "exception"),
        ("number", "bad-result"),
    ],
)
def test_failures_have_their_kinds(node: Node, what: str, kind: str) -> None:
    failed = node.loop.run(node.dispatcher.invoke(HARMFUL, {"what": what}, timeout_s=3.0))
    assert failed.error is not None and failed.error.kind == kind
    if what == "raise":
        assert "RangeError: asked for" in failed.error.message
        assert "at main (harmful.js:5:" in str(failed.error.traceback)
    assert node.invoke(HARMFUL, {"what": "nothing"}).ok


def test_code_that_does_not_load(node: Node) -> None:
    failed = node.invoke(BROKEN, {})
    assert failed.error is not None and failed.error.kind == "syntax-error"
    assert failed.error.message.startswith("broken.js:1:")


def test_calls_go_on_from_the_snapshot_point(node: Node) -> None:
    calls: list[dict[str, object]] = [
        {"n": 1, "model": "a"},
        {"model": "a", "n": 2},
        {"model": "b", "n": 3},
        {"n": 4, "model": "a"},
    ]
    answers = [node.invoke(COUNTING, each) for each in calls]
    assert [answer.path for answer in answers] == ["cold", "resumed", "warm", "resumed"]
    assert [answer.stdout for answer in answers] == [
        "building a\nasked 1\n",
        "asked 2\n",
        "building b\nasked 3\n",
        "asked 4\n",
    ]
    results = [answer.result or {} for answer in answers]
    for call, told in zip(calls, results, strict=True):
        assert told["all"] == call and told["keys"] == list(call)
        assert told["n"] == call["n"] and told["refused"] == "PointError"
    # What was drawn before the point is in the snapshot; what comes after is each clone's own.
    assert results[0]["before"] == results[1]["before"] == results[3]["before"]
    assert len({told["after"] for told in results}) == len(results)
    whole = node.invoke(COUNTING, calls[0], Path.WARM)
    assert whole.result is not None and whole.result["keys"] == ["n", "model"]
    early = node.invoke(COUNTING, {"model": "bad"}, Path.RESUMED)
    assert early.error is not None and early.error.message == "Error: no such model"


def test_snapshots_are_small(node: Node) -> None:
    node.invoke(NOP, {})
    node.loop.run(node.dispatcher.flush())
    with SnapshotStore(node.settings.store) as store:
        (base,) = store.find(level=Level.BASE)
        (loaded,) = store.find(level=Level.FUNCTION, function=NOP.id)
    assert base.stored_bytes <= MOST_BASE_BYTES
    assert loaded.stored_bytes <= MOST_FUNCTION_BYTES


def test_a_snapshot_holds_no_other_argument(node: Node) -> None:
    secret = "correct horse battery staple " * 40
    for model in ("c", "d"):
        assert node.invoke(COUNTING, {"model": model, "n": secret}).ok
    node.loop.run(node.dispatcher.flush())
    with SnapshotStore(node.settings.store) as store:
        found = store.find(level=Level.ARGUMENT, function=COUNTING.id)
        assert {'counting(model="c")', 'counting(model="d")'} <= {each.label for each in found}
        for each in store.list():
            assert secret[:29].encode() not in store.open(each.id).pages().data.tobytes()
