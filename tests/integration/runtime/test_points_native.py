"""Snapshot points through the whole runner: what a function sees before, at and after its point."""

from __future__ import annotations

import json

import pytest

from orchestrator.wire import Frame, MessageType
from tests.integration.runtime.native_runner import NativeRunner, zipped

ECHO = """\
import seuss
def main(args):
    model = args["model"].upper()
    args = seuss.snapshot_point("model")
    return {"model": model, "all": args}
"""


def loaded_names(runner: NativeRunner, code: str, form: str = "source") -> object:
    answer = runner.load(code, form)
    assert answer.type is MessageType.LOADED, answer.payload.decode()
    return answer.json().get("point")


def begin(runner: NativeRunner, names: object, arguments: object) -> Frame:
    return runner.request(
        MessageType.BEGIN, json.dumps({"names": names, "args": arguments}).encode()
    )


def rest(runner: NativeRunner, arguments: object) -> Frame:
    return runner.request(MessageType.REST, json.dumps(arguments).encode())


def test_loading_tells_the_names(runner: NativeRunner) -> None:
    assert loaded_names(runner, ECHO) == ["model"]
    assert loaded_names(runner, "def main(args): return {}") is None
    two = "from seuss import snapshot_point\ndef main(args): snapshot_point('b', 'a', 'b')"
    assert loaded_names(runner, two) == ["a", "b"]
    assert loaded_names(runner, "import seuss\ndef main(args): seuss.snapshot_point()") == []
    assert loaded_names(runner, zipped({"__main__.py": ECHO}), "zip") == ["model"]
    # A function of its own by that name is none of ours.
    assert (
        loaded_names(runner, "def snapshot_point(n): ...\ndef main(a): snapshot_point(1)") is None
    )


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("seuss.snapshot_point(*names)", "takes its names as plain texts"),
        ("seuss.snapshot_point(names)", "takes its names as plain texts"),
        ("seuss.snapshot_point(5)", "takes its names as plain texts"),
        ("seuss.snapshot_point(name='a')", "takes its names as plain texts"),
        ("seuss.snapshot_point('a'); seuss.snapshot_point('b')", "one point each"),
        (f"seuss.snapshot_point('{'a' * 600}')", "names of over 512 characters"),
    ],
)
def test_names_that_cannot_be_read_are_refused(runner: NativeRunner, call: str, fault: str) -> None:
    failure = runner.failure_of(f"import seuss\ndef main(args):\n    {call}\n    return {{}}")
    assert failure["kind"] == "syntax-error"
    assert failure["message"].startswith("demo.py, line 3: snapshot_point") and fault in str(
        failure
    )


def test_the_rest_comes_at_the_point(runner: NativeRunner) -> None:
    runner.load(ECHO)
    at_point = begin(runner, ["model"], {"model": "a"})
    assert at_point.type is MessageType.POINT
    assert at_point.json() == {"names": ["model"], "reached": True}
    runner.sync(7)
    answer = rest(runner, {"q": 1, "model": None, "z": [2]})
    assert answer.type is MessageType.RESULT
    assert answer.json() == {"model": "A", "all": {"q": 1, "model": "a", "z": [2]}}
    # The answer is the same, to the order of its keys, when everything is there from the start.
    assert runner.invoke({"q": 1, "model": "a", "z": [2]}).payload == answer.payload


def test_a_call_with_other_names_does_not_run(runner: NativeRunner) -> None:
    runner.load(ECHO)
    for wrong in (None, [], ["query"], ["model", "query"]):
        told = begin(runner, wrong, {})
        assert told.json() == {"names": ["model"], "reached": False}
    refused = begin(runner, ["model"], {"model": "a", "query": 1})
    assert refused.json()["kind"] == "bad-request"
    runner.load("def main(args): return {}")
    assert begin(runner, ["model"], {}).json() == {"names": None, "reached": False}


def test_what_was_done_to_a_named_argument_stays(runner: NativeRunner) -> None:
    code = (
        "import seuss\n"
        "def main(args):\n"
        "    args['list'].sort()\n"
        "    return seuss.snapshot_point('list')\n"
    )
    runner.load(code)
    begin(runner, ["list"], {"list": [3, 1, 2]})
    assert rest(runner, {"n": 1, "list": None}).json() == {"n": 1, "list": [1, 2, 3]}
    assert runner.invoke({"n": 1, "list": [3, 1, 2]}).json() == {"n": 1, "list": [1, 2, 3]}


USES = [
    "args['query']",
    "args.get('query')",
    "'query' in args",
    "args[5]",
    "list(args)",
    "len(args)",
    "bool(args)",
    "args == {}",
    "{} != args",
    "args | {}",
    "{} | args",
    "{**args}",
    "dict(args)",
    "dict(**args)",
    "{}.update(args)",
    "args.items()",
    "args.keys()",
    "args.values()",
    "args.copy()",
    "copy.copy(args)",
    "copy.deepcopy(args)",
    "pickle.dumps(args)",
    "json.dumps(args)",
    "json.dumps(args, indent=1)",
    "repr(args)",
    "f'{args}'",
    "reversed(args)",
    "args.pop('model')",
    "args.setdefault('model', 1)",
    "args.update(model=1)",
    "args.__setitem__('model', 1)",
    "args.clear()",
    "next(iter(args))",
]


@pytest.mark.parametrize("arguments", [{}, {"model": "a"}])
@pytest.mark.parametrize("whole", [True, False])
def test_only_the_named_can_be_read_before(
    runner: NativeRunner, arguments: dict[str, str], whole: bool
) -> None:
    code = (
        "import copy, json, pickle, seuss\n"
        "def main(args):\n"
        "    seen = {}\n"
        f"    for use in {USES!r}:\n"
        "        try:\n"
        "            seen[use] = repr(eval(use, {**globals(), 'args': args}))\n"
        "        except seuss.PointError as error:\n"
        "            seen[use] = 'refused'\n"
        "            text = str(error)\n"
        "    seen['dict'] = isinstance(args, dict)\n"
        "    seen['named'] = ['model' in args, args.get('model', 'none')]\n"
        "    seen['around'] = 'query' in str(dict.items(args))\n"
        "    seen['text'] = text\n"
        "    args = seuss.snapshot_point('model')\n"
        "    seen['after'] = [json.loads(json.dumps(args)), len(args), {**args}]\n"
        "    seen['popped'] = args.pop('query')\n"
        "    return seen\n"
    )
    runner.load(code)
    if whole:
        answer = runner.invoke(arguments | {"query": 2})
    else:
        begin(runner, ["model"], arguments)
        answer = rest(runner, dict.fromkeys(arguments) | {"query": 2})
    seen = answer.json()
    assert [use for use in USES if seen[use] != "refused"] == []
    assert seen["dict"] and not seen["around"]
    assert seen["named"] == ["model" in arguments, arguments.get("model", "none")]
    assert "only model can be read" in seen["text"]
    after = arguments | {"query": 2}
    assert seen["after"] == [after, len(after), after] and seen["popped"] == 2


def test_a_guarded_dict_is_no_result(runner: NativeRunner) -> None:
    code = "import seuss\ndef main(args):\n    return args\n    seuss.snapshot_point('model')"
    for answer in (
        runner.failure_of(code, {"query": 1}),
        begin(runner, ["model"], {}).json(),
    ):
        assert answer["kind"] == "bad-result" and "PointError" in answer["message"]


def test_a_point_that_is_not_found_in_the_source_says_so(runner: NativeRunner) -> None:
    hidden = "import seuss\ndef main(args): getattr(seuss, 'snapshot' + '_point')('a')"
    assert "with its names as plain texts" in runner.failure_of(hidden)["message"]
    aliased = (
        "from seuss import snapshot_point as here, snapshot_point\n"
        "def main(args):\n    here('a')\n    snapshot_point('b')\n"
    )
    assert "is not what the source says" in runner.failure_of(aliased)["message"]
    early = "import seuss\nseuss.snapshot_point('a')\ndef main(args): return {}"
    assert runner.failure_of(early)["kind"] == "import-error"


def test_errors_go_to_the_request_that_runs(runner: NativeRunner) -> None:
    code = (
        "import seuss\n"
        "def main(args):\n"
        "    if args['model'] == 'early': raise ValueError('before')\n"
        "    args = seuss.snapshot_point('model')\n"
        "    raise ValueError('after')\n"
    )
    runner.load(code)
    assert begin(runner, ["model"], {"model": "early"}).json()["message"] == "ValueError: before"
    assert begin(runner, ["model"], {"model": "late"}).type is MessageType.POINT
    assert rest(runner, {"model": None}).json()["message"] == "ValueError: after"


def test_a_point_that_is_not_reached_is_answered_at_once(runner: NativeRunner) -> None:
    code = (
        "import seuss\n"
        "def main(args):\n"
        "    if args.get('model') is None: return {'none': True}\n"
        "    return seuss.snapshot_point('model')\n"
    )
    runner.load(code)
    answer = begin(runner, ["model"], {})
    assert answer.type is MessageType.RESULT and answer.json() == {"none": True}


def test_passing_again_changes_nothing(runner: NativeRunner) -> None:
    code = (
        "import seuss\n"
        "async def main(args):\n"
        "    for n in range(3):\n"
        "        whole = seuss.snapshot_point('model')\n"
        "        whole['n'] = n\n"
        "    assert whole is args and type(args).__mro__[1] is dict\n"
        "    return args\n"
    )
    runner.load(code)
    begin(runner, ["model"], {})
    assert rest(runner, {"q": 1}).json() == {"q": 1, "n": 2}


def test_prints_before_the_point_are_handed_on_there(runner: NativeRunner) -> None:
    code = (
        "import seuss\n"
        "def main(args):\n"
        "    print('before', end='')\n"
        "    return seuss.snapshot_point()\n"
    )
    runner.load(code)
    begin(runner, [], {})
    assert runner.process.stdout is not None
    assert runner.process.stdout.read1() == b"before"  # type: ignore[attr-defined]
    assert rest(runner, {}).json() == {}


TRACES = """\
import gc, random, sys
import seuss
def seen():
    return {
        "modules": sorted(sys.modules), "random": random.getstate(), "garbage": len(gc.garbage),
        "callbacks": len(seuss._callbacks), "out": sys.stdout.write(""), "names": sorted(globals()),
        "generation": seuss.generation(),
    }
def main(args):
    random.seed(1)
    before = seen()
    args = seuss.snapshot_point("model")
    return {"same": before == seen(), "all": args}
"""


WATCHES = """\
import seuss, sys, threading, time

seen = set()

def watch(frame, event, arg):
    seen.add(frame.f_code.co_filename.rpartition("/")[2])

def look(main):
    while not seen:
        frame = sys._current_frames()[main]
        while frame is not None:
            if "rehearsing" in frame.f_code.co_filename:
                watch(frame, None, None)
            frame = frame.f_back

def main(args):
    if args["way"] == "thread":
        threading.Thread(target=look, args=[threading.get_ident()], daemon=True).start()
    else:
        getattr(sys, "set" + args["way"])(watch)
    args = seuss.snapshot_point("way")
    sys.setprofile(None)
    sys.settrace(None)
    return {"seen": any("rehearsing" in name for name in seen)}
"""


def test_a_rehearsal_at_the_point_leaves_no_trace(runner: NativeRunner) -> None:
    assert runner.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    for rehearsals in (0, 1, 3):
        runner.load(TRACES)
        assert begin(runner, ["model"], {"model": "a"}).type is MessageType.POINT
        for _ in range(rehearsals):
            answer = runner.request(MessageType.OPTIMISE, b"{}")
            assert (answer.type, answer.payload) == (MessageType.DONE, b"{}")
        told = rest(runner, {"query": 1, "model": None}).json()
        assert told == {"same": True, "all": {"query": 1, "model": "a"}}


@pytest.mark.parametrize("way", ["thread", "profile", "trace"])
def test_no_rehearsal_where_the_functions_code_would_run_meanwhile(
    runner: NativeRunner, way: str
) -> None:
    assert runner.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    runner.load(WATCHES)
    assert begin(runner, ["way"], {"way": way}).type is MessageType.POINT
    assert runner.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    assert rest(runner, {"way": None}).json() == {"seen": False}


def test_without_optimisation_there_is_nothing_to_rehearse(runner: NativeRunner) -> None:
    runner.load(TRACES)
    begin(runner, ["model"], {"model": "a"})
    assert runner.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    assert rest(runner, {"model": None}).json() == {"same": True, "all": {"model": "a"}}
