"""Snapshot points of JavaScript functions: what one sees before, at and after its point."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from orchestrator.wire import Frame, MessageType
from tests.integration.runtime.native_runner import JAVASCRIPT, NativeRunner, zipped

ECHO = """\
function main(args) {
  const model = args.model.toUpperCase();
  args = seuss.snapshotPoint("model");
  return {model, all: args};
}
"""


@pytest.fixture
def js() -> Iterator[NativeRunner]:
    with NativeRunner(program=JAVASCRIPT) as runner:
        yield runner


def loaded_names(js: NativeRunner, code: str, form: str = "source") -> object:
    answer = js.load(code, form)
    assert answer.type is MessageType.LOADED, answer.payload.decode()
    return answer.json().get("point")


def begin(js: NativeRunner, names: object, arguments: object) -> Frame:
    return js.request(MessageType.BEGIN, json.dumps({"names": names, "args": arguments}).encode())


def rest(js: NativeRunner, arguments: object) -> Frame:
    return js.request(MessageType.REST, json.dumps(arguments).encode())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("seuss.snapshotPoint('model')", ["model"]),
        ("seuss . snapshotPoint ( 'b' , /* or */ \"a\", 'b', )", ["a", "b"]),
        ("seuss?.snapshotPoint?.('a')", ["a"]),
        ("seuss.snapshotPoint()", []),
        (r"seuss.snapshotPoint('\x61\u{1F600}', '\uffff')", ["a\U0001f600", "\uffff"]),
        ("const {snapshotPoint} = seuss; snapshotPoint('a')", ["a"]),
        ("`${ `}` + seuss.snapshotPoint('a') }`", ["a"]),
        ("/[/'\"`]/.test('') / 2; seuss.snapshotPoint('a')", ["a"]),
        ("if (1) /'/.test(''); seuss.snapshotPoint('a')", ["a"]),
        ("let i = 4; i++ / 2; seuss.snapshotPoint('a'); i / 2", ["a"]),
        # No calls of ours.
        ("1 // seuss.snapshotPoint(x)", None),
        ("1 /* seuss.snapshotPoint(x) */", None),
        ("'seuss.snapshotPoint(x)'", None),
        ("`seuss.snapshotPoint(x)`", None),
        ("/seuss.snapshotPoint(x)/", None),
        ("seuss.snapshotPoint", None),
        ("(function snapshotPoint(x) { return seuss })(1)", None),
        ("((snapshotPoint) => snapshotPoint(1))(String)", None),
    ],
)
def test_names_are_read_from_the_source(js: NativeRunner, text: str, names: object) -> None:
    assert loaded_names(js, f"function main(args) {{ {text}\n }}") == names


def test_names_in_modules_and_zips(js: NativeRunner) -> None:
    assert loaded_names(js, "export " + ECHO) == ["model"]
    assert loaded_names(js, zipped({"index.js": "export " + ECHO}), "zip") == ["model"]
    # A function loaded after one with a point has none of it.
    assert loaded_names(js, "function main(args) { return {}; }") is None
    assert begin(js, [], {}).json() == {"names": None, "reached": False}


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("seuss.snapshotPoint(...names)", "takes its names as plain texts"),
        ("seuss.snapshotPoint(names)", "takes its names as plain texts"),
        ("seuss.snapshotPoint(5)", "takes its names as plain texts"),
        ("seuss.snapshotPoint(`a`)", "takes its names as plain texts"),
        ("seuss.snapshotPoint('a' + 'b')", "takes its names as plain texts"),
        ("seuss.snapshotPoint('a'); seuss.snapshotPoint('b')", "one point each"),
        (f"seuss.snapshotPoint('{'a' * 600}')", "names of over 512 characters"),
    ],
)
def test_names_that_cannot_be_read_are_refused(js: NativeRunner, call: str, fault: str) -> None:
    failure = js.failure_of(f"let names;\nfunction main(args) {{\n  {call};\n}}")
    assert failure["kind"] == "syntax-error"
    assert failure["message"].startswith("demo.js:3: snapshotPoint") and fault in failure["message"]


def test_the_rest_comes_at_the_point(js: NativeRunner) -> None:
    js.load(ECHO)
    at_point = begin(js, ["model"], {"model": "a"})
    assert at_point.type is MessageType.POINT
    assert at_point.json() == {"names": ["model"], "reached": True}
    js.sync(7)
    answer = rest(js, {"q": 1, "model": None, "z": [2]})
    assert answer.type is MessageType.RESULT
    assert answer.json() == {"model": "A", "all": {"q": 1, "model": "a", "z": [2]}}
    assert js.invoke({"q": 1, "model": "a", "z": [2]}).payload == answer.payload


def test_a_call_with_other_names_does_not_run(js: NativeRunner) -> None:
    js.load(ECHO)
    for wrong in (None, [], ["query"], ["model", "query"]):
        assert begin(js, wrong, {}).json() == {"names": ["model"], "reached": False}
    refused: list[object] = [{"model": "a", "query": 1}, {"__proto__": 1}, [], None]
    for others in refused:
        assert begin(js, ["model"], others).json()["kind"] == "bad-request"


def test_what_was_done_to_a_named_argument_stays(js: NativeRunner) -> None:
    js.load("function main(args) { args.list.sort(); return seuss.snapshotPoint('list'); }")
    begin(js, ["list"], {"list": [3, 1, 2]})
    assert rest(js, {"n": 1, "list": None}).json() == {"n": 1, "list": [1, 2, 3]}
    assert js.invoke({"n": 1, "list": [3, 1, 2]}).json() == {"n": 1, "list": [1, 2, 3]}


USES = [
    "args.query",
    "'query' in args",
    "args[5]",
    "args[Symbol.iterator]",
    "Object.hasOwn(args, 'query')",
    "Object.getOwnPropertyDescriptor(args, 'query')",
    "Object.keys(args)",
    "Object.entries(args)",
    "({...args})",
    "(({model, ...others}) => others)(args)",
    "(({query}) => query)(args)",
    "Object.assign({}, args)",
    "JSON.stringify(args)",
    "JSON.stringify({args})",
    "structuredClone({a: {...args}})",
    "`${args}`",
    "for_in(args)",
    "args.model = 1",
    "args.query = 1",
    "delete args.model",
    "Object.defineProperty(args, 'model', {value: 1})",
    "Object.freeze(args)",
    "Object.isFrozen(args)",
    "Object.setPrototypeOf(args, null)",
]


@pytest.mark.parametrize("arguments", [{}, {"model": "a"}])
@pytest.mark.parametrize("whole", [True, False])
def test_only_the_named_can_be_read_before(
    js: NativeRunner, arguments: dict[str, str], whole: bool
) -> None:
    code = (
        "const for_in = (o) => { const k = []; for (const each in o) k.push(each); return k; };\n"
        "function main(args) {\n"
        "  const seen = {};\n"
        f"  for (const use of {json.dumps(USES)}) {{\n"
        "    try { seen[use] = String(eval(`'use strict'; ${use}`)); }\n"
        "    catch (error) {\n"
        "      seen[use] = error instanceof seuss.PointError ? 'refused' : String(error);\n"
        "      seen.text = error.message;\n"
        "    }\n"
        "  }\n"
        "  seen.named = ['model' in args, args.model ?? 'none', Object.hasOwn(args, 'model')];\n"
        "  const all = seuss.snapshotPoint('model');\n"
        "  seen.after = [args, all, Object.keys(args).length, {...args}];\n"
        "  args.added = 1;\n"
        "  seen.same = [all.added, delete args.added, 'added' in all];\n"
        "  return seen;\n"
        "}\n"
    )
    js.load(code)
    if whole:
        answer = js.invoke(arguments | {"query": 2})
    else:
        begin(js, ["model"], arguments)
        answer = rest(js, dict.fromkeys(arguments) | {"query": 2})
    seen = answer.json()
    assert {use: seen[use] for use in USES if seen[use] != "refused"} == {}
    there = "model" in arguments
    assert seen["named"] == [there, arguments.get("model", "none"), there]
    assert "only model can be read" in seen["text"]
    after = arguments | {"query": 2}
    assert seen["after"] == [after, after, len(after), after]
    assert seen["same"] == [1, True, False]


def test_guarded_arguments_are_no_result(js: NativeRunner) -> None:
    code = "function main(args) { return args; seuss.snapshotPoint('model'); }"
    for answer in (js.failure_of(code, {"query": 1}), begin(js, ["model"], {}).json()):
        assert answer["kind"] == "bad-result" and "PointError" in answer["message"]


def test_a_point_that_is_not_found_in_the_source_says_so(js: NativeRunner) -> None:
    hidden = "function main() { seuss['snapshot' + 'Point']('a'); }"
    assert "with its names as plain texts" in js.failure_of(hidden)["message"]
    aliased = (
        "const here = seuss.snapshotPoint;\n"
        "function main(args) { here('a'); seuss.snapshotPoint('b'); }\n"
    )
    assert "is not what the source says" in js.failure_of(aliased)["message"]
    early = "seuss.snapshotPoint('a'); function main(args) { return {}; }"
    assert js.failure_of(early)["kind"] == "import-error"
    late = "function main() { setTimeout(() => seuss.snapshotPoint('a'), 1); return {}; }"
    assert js.result_of(late) == {}


def test_errors_go_to_the_request_that_runs(js: NativeRunner) -> None:
    code = (
        "function main(args) {\n"
        "  if (args.model === 'early') throw new Error('before');\n"
        "  try { seuss.snapshotPoint('model'); } finally { console.log('on'); }\n"
        "  throw new Error('after');\n"
        "}\n"
    )
    js.load(code)
    assert begin(js, ["model"], {"model": "early"}).json()["message"] == "Error: before"
    assert begin(js, ["model"], {"model": "late"}).type is MessageType.POINT
    assert rest(js, {"model": None}).json()["message"] == "Error: after"
    begin(js, ["model"], {})
    assert rest(js, [1]).json()["kind"] == "bad-request"
    waiting = begin(js, ["model"], {}).id
    js.send_bytes(Frame(MessageType.INVOKE, b"{}", id=99).encode())
    refused = js.receive()
    assert (refused.id, refused.json()["kind"]) == (waiting, "bad-request")
    assert js.invoke({"model": "b"}).json()["message"] == "Error: after"


def test_points_of_async_functions(js: NativeRunner) -> None:
    code = (
        "async function main(args) {\n"
        "  await new Promise((r) => setTimeout(r, 1));\n"
        "  for (let n = 0; n < 3; ++n) seuss.snapshotPoint('model').n = n;\n"
        "  await null;\n"
        "  return args;\n"
        "}\n"
    )
    js.load(code)
    assert begin(js, ["model"], {}).json()["reached"] is True
    assert rest(js, {"q": 1}).json() == {"q": 1, "n": 2}


def test_callbacks_of_a_restore_at_the_point(js: NativeRunner) -> None:
    code = (
        "let told = [];\n"
        "seuss.onRestore(() => {\n"
        "  told.push(seuss.generation());\n"
        "  Promise.resolve().then(() => told.push('job'));\n"
        "  seuss.snapshotPoint('model');\n"
        "});\n"
        "function main(args) {\n"
        "  seuss.snapshotPoint('model');\n"
        "  return {told: [...told], q: args.q};\n"
        "}\n"
    )
    js.load(code)
    begin(js, ["model"], {})
    js.sync(3)
    assert rest(js, {"q": 1}).json() == {"told": [3], "q": 1}
