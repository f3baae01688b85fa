"""JavaScript functions through their runner: what comes back, and how each failure is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.wire import MAX_PAYLOAD, MessageType
from tests.integration.runtime.native_runner import JAVASCRIPT, NativeRunner, zipped


@pytest.fixture
def js() -> Iterator[NativeRunner]:
    with NativeRunner(program=JAVASCRIPT) as runner:
        yield runner


def value_of(js: NativeRunner, expression: str) -> object:
    """Return what an expression of JavaScript evaluates to, through JSON."""
    return js.result_of(f"async function main(args) {{ return {{v: {expression}}}; }}")["v"]


def test_it_announces_itself_once(js: NativeRunner) -> None:
    assert (js.ready.type, js.ready.id) == (MessageType.READY, 0)
    assert js.ready.json()["runtime"] == "js"


def test_arguments_come_in_and_the_result_goes_out(js: NativeRunner) -> None:
    arguments = {"n": 1, "f": 2.5, "t": "é\ud800\U0001f600", "l": [None, True, {"k": []}]}
    assert js.result_of("function main(args) { return {got: args}; }", arguments) == {
        "got": arguments
    }


@pytest.mark.parametrize(
    "code",
    [
        "function main(args) { return {n: args.n + 1}; }",
        "const main = ({n}) => ({n: n + 1});",
        "async function main({n}) { return {n: await Promise.resolve(n + 1)}; }",
        "exports.main = ({n}) => ({n: n + 1});",
        "module.exports = {main: ({n}) => ({n: n + 1})};",
        "export function main({n}) { return {n: n + 1}; }",
        "export default async ({n}) => ({n: n + 1});",
        "const one = await Promise.resolve(1); export const main = ({n}) => ({n: n + one});",
    ],
)
def test_every_form_of_a_function(js: NativeRunner, code: str) -> None:
    assert js.result_of(code, {"n": 1}) == {"n": 2}


def test_a_function_keeps_its_state_between_invocations(js: NativeRunner) -> None:
    assert js.result_of("let n = 0; function main() { return {n: ++n}; }") == {"n": 1}
    assert js.invoke().json() == {"n": 2}


def test_no_result_is_an_empty_one(js: NativeRunner) -> None:
    assert js.result_of("function main() {}") == {}


def test_a_loaded_function_knows_nothing_of_the_one_before(js: NativeRunner) -> None:
    js.result_of("globalThis.left = 1; Array.prototype.x = 1; function main() { return {}; }")
    code = "function main() { return {left: typeof left, x: [].x ?? null}; }"
    assert js.result_of(code) == {"left": "undefined", "x": None}


def test_prints_are_complete_before_the_answer(js: NativeRunner) -> None:
    js.result_of(
        "console.log('loading'); function main() {"
        "console.log('%s is %d', 'x', 5, {a: [1, {b: new Map([[1, 'q']])}]}); console.error('err');"
        "return {}; }"
    )
    assert js.end() == ("loading\nx is 5 { a: [ 1, { b: [Map] } ] }\n", "err\n")


# --- what the platform adds ---


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[...new TextEncoder().encode('é😀')]", [0xC3, 0xA9, 0xF0, 0x9F, 0x98, 0x80]),
        ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff]))", "a�"),
        (
            "((d) => d.decode(new Uint8Array([0xf0, 0x9f]), {stream: true})"
            " + d.decode(new Uint8Array([0x98, 0x80])))(new TextDecoder())",
            "😀",
        ),
        ("atob(btoa('hello\\xff')) === 'hello\\xff'", True),
        ("btoa('ab')", "YWI="),
        ("new URL('../x?a=b#c', 'https://user@example.org:8443/y/z').href",
         "https://user@example.org:8443/x?a=b#c"),
        ("((u) => (u.searchParams.append('q', 'ä b'), u.hostname = 'tést.org', u.href))"
         "(new URL('http://a/'))", "http://xn--tst-bma.org/?q=%C3%A4+b"),
        ("URL.canParse('//nothing')", False),
        ("new URLSearchParams({a: 1, b: 'x y'}).toString()", "a=1&b=x+y"),
        ("[...new URLSearchParams('a=1&b=2&a=3').entries()]", [["a", "1"], ["b", "2"], ["a", "3"]]),
        ("structuredClone({d: new Date(5), m: new Map([[1, {a: [2]}]])}).m.get(1).a[0]", 2),
        ("((o) => (o.self = o, structuredClone(o).self.n))({n: 7})", 7),
        ("structuredClone(new TypeError('x')) instanceof TypeError", True),
        ("(() => { try { structuredClone(() => 1) } catch (e) { return e.name } })()",
         "DataCloneError"),
        ("crypto.randomUUID().length", 36),
        ("new Set(crypto.getRandomValues(new Uint8Array(64))).size > 8", True),
        ("await new Promise((r) => setTimeout(r, 5, 'late'))", "late"),
        ("await new Promise((r) => { let n = 0;"
         " const t = setInterval(() => { if (++n === 3) { clearInterval(t); r(n); } }, 1); })", 3),
        ("(clearTimeout(setTimeout(() => { throw 1 }, 0)),"
         " await new Promise((r) => setTimeout(r, 5)), 1)", 1),
        ("Math.random() !== Math.random()", True),
    ],
)  # fmt: skip
def test_what_people_expect_is_there(js: NativeRunner, expression: str, value: object) -> None:
    assert value_of(js, expression) == value


# --- failures, each of its own kind ---


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("function main(args) {\n  return 5 +\n}", "syntax-error", "demo.js:3:9"),
        ("export function main( {", "syntax-error", "demo.js:1"),
        ("throw new RangeError('at load')", "import-error", "RangeError: at load"),
        ("import {x} from './y.js';\nexport const main = x;", "import-error", "y.js"),
        ("function mian() {}", "no-main", "it defines mian"),
        ("export function mian() {}", "no-main", "exports no function 'main'"),
        ("main = 5", "no-main", "main is no function: 5"),
        ("function main() { nothing(); }", "exception", "ReferenceError"),
        ("async function main() { await null; throw new TypeError('late'); }", "exception", "late"),
        ("function main() { throw 'text'; }", "exception", "text"),
        ("function main() { return main(); }", "exception", "call stack"),
        ("function main() { return new Promise(() => {}); }", "exception", "never be settled"),
        ("function main() { return 5; }", "bad-result", "5"),
        ("function main() { return [1]; }", "bad-result", "an array"),
        ("function main() { const a = {}; a.a = a; return a; }", "bad-result", "circular"),
        ("function main() { return {n: 1n}; }", "bad-result", "BigInt"),
        ("function main() { throw {toString() { throw 1; }}; }", "exception", "cannot be shown"),
    ],
)
def test_failures(js: NativeRunner, code: str, kind: str, words: str) -> None:
    error = js.failure_of(code)
    assert error["kind"] == kind
    assert words in error["message"]
    assert js.result_of("function main() { return {}; }") == {}


def test_a_stack_shows_the_functions_frames_only(js: NativeRunner) -> None:
    code = "function inner(n) {\n  throw new Error('no');\n}\nfunction main() {\n  inner(1);\n}\n"
    error = js.failure_of(code, name="deep")
    assert error["traceback"].splitlines()[0] == "Error: no"
    assert "at inner (deep.js:2:" in error["traceback"]
    assert "at main (deep.js:5:" in error["traceback"]
    assert "seuss" not in error["traceback"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [(b"{", "JSON"), (b"", "JSON"), (b"[1]", "an array"), (b"5", "a number"), (b"{} {}", "JSON")],
)
def test_arguments_that_are_no_json_object(js: NativeRunner, payload: bytes, words: str) -> None:
    js.result_of("function main() { return {}; }")
    error = js.request(MessageType.INVOKE, payload).json()
    assert error["kind"] == "bad-request"
    assert words in error["message"]


def test_arguments_and_results_at_the_limit(js: NativeRunner) -> None:
    fill = MAX_PAYLOAD - len('{"a":""}')
    js.result_of("function main({a}) { return {n: a.length}; }", {"a": ""})
    payload = json.dumps({"a": "x" * fill}, separators=(",", ":")).encode()
    assert js.request(MessageType.INVOKE, payload).json() == {"n": fill}
    code = "function main({n}) { return {a: 'x'.repeat(n)}; }"
    assert len(js.result_of(code, {"n": fill})["a"]) == fill
    assert js.invoke({"n": fill + 1}).json()["kind"] == "result-too-large"


def test_huge_messages_are_shortened(js: NativeRunner) -> None:
    error = js.failure_of("function main() { throw new Error('é'.repeat(1000000)); }")
    assert "bytes left out" in error["message"]
    assert len(error["message"]) < 100_000


# --- restores ---


def test_a_clone_is_told_of_its_restore(js: NativeRunner) -> None:
    code = (
        "seuss.onRestore(() => console.log('generation', seuss.generation()));"
        "function main() { return {g: seuss.generation(), r: Math.random()}; }"
    )
    first = js.result_of(code)
    js.sync(7)
    second = js.invoke().json()
    assert (first["g"], second["g"]) == (0, 7)
    assert js.end()[0] == "generation 7\n"


def test_optimising_leaves_nothing_behind(js: NativeRunner) -> None:
    assert js.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    assert js.invoke().json()["kind"] == "bad-request"
    assert js.result_of("function main() { return {n: typeof main}; }") == {"n": "function"}


NETWORK_ALONE = b'{"only": "network"}'


def test_the_network_can_be_exercised_alone_and_again(js: NativeRunner) -> None:
    descriptors = Path(f"/proc/{js.process.pid}/fd")
    before = sorted(descriptors.iterdir())
    for _ in range(2):
        assert js.request(MessageType.OPTIMISE, NETWORK_ALONE).type is MessageType.DONE
        assert sorted(descriptors.iterdir()) == before
    assert js.result_of("function main() { return {m: typeof module}; }") == {"m": "object"}
    assert js.end() == ("", "")


@pytest.mark.parametrize("payload", [b"", b"no JSON", b"[]"])
def test_optimise_takes_an_object(js: NativeRunner, payload: bytes) -> None:
    assert js.request(MessageType.OPTIMISE, payload).json()["kind"] == "bad-request"


# --- zips ---


def test_a_zip_with_modules_and_data(js: NativeRunner) -> None:
    files: dict[str, str | bytes] = {
        "index.js": (
            "import {twice} from './lib/twice.js'; import data from './data.json';"
            "export function main({n}) { return {n: twice(n), data}; }"
        ),
        "lib/twice.js": "import {plus} from '../plus.js'; export const twice = (n) => plus(n, n);",
        "plus.js": "export const plus = (a, b) => a + b;",
        "data.json": '{"q": [1]}',
    }
    assert js.result_of(zipped(files), {"n": 4}, form="zip") == {"n": 8, "data": {"q": [1]}}


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({"other.js": ""}, "no-main", "index.js"),
        ({"index.js": "import './part.js'", "part.js": "x ="}, "syntax-error", "part.js:1"),
        ({"index.js": "import './gone.js'"}, "import-error", "gone.js"),
        ({"index.js": "import '/etc/passwd'"}, "import-error", "/etc/passwd"),
        ({"index.js": "", "../out.js": ""}, "bad-request", "leads outside"),
    ],
)
def test_zips_that_cannot_be_loaded(
    js: NativeRunner, files: dict[str, str | bytes], kind: str, words: str
) -> None:
    error = js.failure_of(zipped(files), form="zip")
    assert error["kind"] == kind
    assert words in error["message"]


@pytest.mark.parametrize("code", ["!!", "AAAA", "UEsDBA=="])
def test_bytes_that_are_no_zip(js: NativeRunner, code: str) -> None:
    error = js.failure_of(code, form="zip", name="archive")
    assert error["kind"] == "bad-request"
    assert "archive is not a good zip" in error["message"]
