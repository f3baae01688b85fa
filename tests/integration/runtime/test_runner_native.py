"""Functions through the whole runner: what comes back, and how each failure is told."""

from __future__ import annotations

import json

import pytest

from orchestrator.wire import MAX_PAYLOAD, MessageType
from tests.integration.runtime.native_runner import NativeRunner, zipped


def test_it_announces_itself_once(runner: NativeRunner) -> None:
    ready = runner.ready
    assert (ready.type, ready.id) == (MessageType.READY, 0)
    assert ready.json()["runtime"] == "python"
    assert ready.json()["version"].startswith("3.11.")
    assert runner.invoke().type is MessageType.ERROR


def test_arguments_come_in_and_the_result_goes_out(runner: NativeRunner) -> None:
    arguments = {"n": 1, "f": 2.5, "t": "é\ud800\U0001f600", "l": [None, True, {"k": []}]}
    assert runner.result_of("def main(args): return {'got': args}", arguments) == {"got": arguments}


def test_a_function_keeps_its_state_between_invocations(runner: NativeRunner) -> None:
    code = "n = 0\ndef main(args):\n    global n\n    n += 1\n    return {'n': n}\n"
    assert runner.result_of(code) == {"n": 1}
    assert runner.invoke().json() == {"n": 2}


def test_another_entry_name(runner: NativeRunner) -> None:
    assert runner.result_of("def handle(args): return {}", main="handle") == {}


def test_an_async_main_is_awaited(runner: NativeRunner) -> None:
    code = (
        "import asyncio\n"
        "async def main(args):\n"
        "    return {'r': await asyncio.gather(*[asyncio.sleep(0.01, n) for n in range(3)])}\n"
    )
    assert runner.result_of(code) == {"r": [0, 1, 2]}


def test_the_self_test_of_a_file_stays_asleep(runner: NativeRunner) -> None:
    code = "if __name__ == '__main__':\n    raise SystemExit(1)\ndef main(args): return {}\n"
    assert runner.result_of(code) == {}


def test_prints_are_complete_before_the_answer(runner: NativeRunner) -> None:
    code = (
        "import sys\nprint('loading')\n"
        "def main(args):\n"
        "    print('out \\ud800', end='')\n"
        "    print('err', end='', file=sys.stderr)\n"
        "    return {}\n"
    )
    runner.result_of(code)
    assert runner.end() == ("loading\nout \\ud800", "err")


def test_closed_and_replaced_streams_are_the_functions_own_affair(runner: NativeRunner) -> None:
    code = (
        "import sys\ndef main(args):\n    sys.stdout.close()\n    sys.stderr = 5\n    return {}\n"
    )
    assert runner.result_of(code) == {}
    assert runner.invoke().type is MessageType.RESULT


def test_loading_again_replaces_the_function(runner: NativeRunner) -> None:
    runner.result_of("def main(args): return {'v': 1}")
    assert runner.result_of("def main(args): return {'v': 2}") == {"v": 2}


def test_unload_forgets_the_function(runner: NativeRunner) -> None:
    runner.result_of("def main(args): return {}")
    assert runner.request(MessageType.UNLOAD).type is MessageType.DONE
    error = runner.invoke().json()
    assert error["kind"] == "bad-request"
    assert "LOAD" in error["message"]


# --- failures, each of its own kind ---


def test_syntax_error_names_file_and_line(runner: NativeRunner) -> None:
    error = runner.failure_of("def main(args):\n    return 5 +\n", name="broken")
    assert error["kind"] == "syntax-error"
    assert error["message"] == "broken.py, line 2: invalid syntax"
    assert "    return 5 +\n" in error["traceback"]


def test_a_null_byte_in_the_source_is_a_syntax_error(runner: NativeRunner) -> None:
    assert runner.failure_of("def main(args): return {}\0")["kind"] == "syntax-error"


def test_exception_while_loading(runner: NativeRunner) -> None:
    error = runner.failure_of("import nosuchmodule\ndef main(args): return {}\n")
    assert error["kind"] == "import-error"
    assert error["message"] == "ModuleNotFoundError: No module named 'nosuchmodule'"
    assert "line 1, in <module>\n    import nosuchmodule\n" in error["traceback"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def mian(args): return {}", "it defines mian"),
        ("x = 1", "no function at all"),
        ("main = 5", "main is a int, not a function"),
    ],
)
def test_no_main(runner: NativeRunner, code: str, words: str) -> None:
    error = runner.failure_of(code)
    assert error["kind"] == "no-main"
    assert words in error["message"]


def test_a_traceback_shows_the_functions_frames_only(runner: NativeRunner) -> None:
    code = (
        "def inner(n):\n"
        "    return 1 / n\n"
        "def main(args):\n"
        "    try:\n"
        "        inner(0)\n"
        "    except ZeroDivisionError as error:\n"
        "        raise ValueError('outer') from error\n"
    )
    error = runner.failure_of(code, name="deep")
    assert (error["kind"], error["message"]) == ("exception", "ValueError: outer")
    text = error["traceback"]
    assert "ZeroDivisionError: division by zero" in text
    assert 'File "deep.py", line 2, in inner\n    return 1 / n\n           ~~^~~\n' in text
    assert 'File "deep.py", line 7, in main\n' in text
    assert "seuss_runner" not in text


def test_a_traceback_shows_the_source_that_is_loaded_now(runner: NativeRunner) -> None:
    runner.failure_of("def main(args):\n    first()\n")
    text = runner.failure_of("def main(args):\n    second()\n")["traceback"]
    assert "second()" in text
    assert "first()" not in text


def test_frames_of_the_library_have_names_and_lines(runner: NativeRunner) -> None:
    text = runner.failure_of("import json\ndef main(args): json.loads('{')\n")["traceback"]
    assert 'File "<frozen json.decoder>", line 3' in text


@pytest.mark.parametrize(
    ("call", "told"),
    [("sys.exit()", "()"), ("sys.exit(3)", "(3)"), ("exit('why')", "('why')"), ("quit()", "()")],
)
def test_sys_exit_has_its_own_kind(runner: NativeRunner, call: str, told: str) -> None:
    error = runner.failure_of(f"import sys\ndef main(args): {call}\n")
    assert error["kind"] == "exit"
    assert told in error["message"]
    assert runner.result_of("def main(args): return {}") == {}


def test_sys_exit_while_loading(runner: NativeRunner) -> None:
    assert runner.failure_of("raise SystemExit(4)")["kind"] == "exit"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("None", "main returned NoneType"),
        ("[1]", "main returned list"),
        ("{'a': [0, {1, 2}]}", "result['a'][1] is of type set"),
        ("{'a': float('nan')}", "result['a'] is nan"),
        ("{'a': {'b': -float('inf')}}", "result['a']['b'] is -inf"),
        ("{(1, 2): 3}", "key of type tuple"),
        ("loop", "result['self'] contains itself"),
        ("deep", "levels deep"),
        ("{'n': 10 ** 5000}", "4300"),
    ],
)
def test_a_result_that_is_no_json_object(runner: NativeRunner, value: str, words: str) -> None:
    code = (
        "loop = {}\nloop['self'] = loop\ndeep = {}\n"
        "for _ in range(100_000): deep = {'d': deep}\n"
        f"def main(args): return {value}\n"
    )
    error = runner.failure_of(code)
    assert error["kind"] == "bad-result"
    assert words in error["message"]
    assert runner.result_of("def main(args): return {}") == {}


def test_keys_that_are_numbers_become_texts(runner: NativeRunner) -> None:
    code = "def main(args): return {1: 1, None: 2, False: 3, 0.5: 4}"
    assert runner.result_of(code) == {"1": 1, "null": 2, "false": 3, "0.5": 4}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"{", "line 1 column 2"),
        (b"", "character 0"),
        (b"[1]", "a JSON list"),
        (b"{} {}", "more text follows"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": "\xff"}', "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_arguments_that_are_no_json_object(
    runner: NativeRunner, payload: bytes, words: str
) -> None:
    runner.result_of("def main(args): return {}")
    error = runner.request(MessageType.INVOKE, payload).json()
    assert error["kind"] == "bad-request"
    assert words in error["message"]


def test_arguments_may_have_space_around(runner: NativeRunner) -> None:
    runner.result_of("def main(args): return args")
    assert runner.request(MessageType.INVOKE, b' \n{"a": 1}\t ').json() == {"a": 1}


def test_a_load_request_that_is_wrong(runner: NativeRunner) -> None:
    for payload in (b"{}", b"no", b'{"name": "a", "code": "", "format": "tar"}'):
        assert runner.request(MessageType.LOAD, payload).json()["kind"] == "bad-request"


def test_types_that_are_not_for_a_runner(runner: NativeRunner) -> None:
    error = runner.request(MessageType.SHUTDOWN).json()
    assert error["kind"] == "bad-request"
    assert "0x7" in error["message"]


# --- limits ---


def test_arguments_and_results_at_the_limit(runner: NativeRunner) -> None:
    fill = MAX_PAYLOAD - len('{"a":""}')
    runner.result_of("def main(args): return {'n': len(args['a'])}", {"a": ""})
    payload = json.dumps({"a": "x" * fill}, separators=(",", ":")).encode()
    assert len(payload) == MAX_PAYLOAD
    assert runner.request(MessageType.INVOKE, payload).json() == {"n": fill}
    code = "def main(args): return {'a': 'x' * args['n']}"
    assert len(runner.result_of(code, {"n": fill})["a"]) == fill
    error = runner.invoke({"n": fill + 1}).json()
    assert error["kind"] == "result-too-large"
    assert f"{MAX_PAYLOAD + 1} bytes" in error["message"]


def test_deep_recursion_is_an_exception(runner: NativeRunner) -> None:
    error = runner.failure_of("def main(args): return main(args)")
    assert error["kind"] == "exception"
    assert error["message"].startswith("RecursionError")
    assert "repeated" in error["traceback"]


def test_huge_messages_are_shortened(runner: NativeRunner) -> None:
    error = runner.failure_of("def main(args): raise ValueError('x' * 10_000_000)")
    assert error["message"].startswith("ValueError: xxx")
    assert len(error["message"]) < 100_000
    assert "characters left out" in error["traceback"]


def test_exceptions_that_resist_being_told(runner: NativeRunner) -> None:
    code = (
        "class Bad(BaseException):\n"
        "    def __str__(self): raise SystemExit\n"
        "    __repr__ = __str__\n"
        "def main(args): raise Bad\n"
    )
    error = runner.failure_of(code)
    assert error["kind"] == "exception"
    assert "Bad" in error["message"]
    assert runner.result_of("def main(args): return {}") == {}


def test_threads_left_behind_hold_nothing_up(runner: NativeRunner) -> None:
    code = (
        "import threading, time\n"
        "def main(args):\n"
        "    threading.Thread(target=time.sleep, args=(3600,)).start()\n"
        "    return {'threads': threading.active_count()}\n"
    )
    assert runner.result_of(code) == {"threads": 2}
    assert runner.invoke().json() == {"threads": 3}
    runner.end()


def test_a_function_that_closes_the_stream_ends_its_own_context(runner: NativeRunner) -> None:
    runner.load("import os\ndef main(args):\n    os.close(3)\n    return {}\n")
    with pytest.raises(EOFError):
        runner.invoke()
    status, _, err = runner.finish()
    assert status == 71
    assert "request stream is lost" in err


# --- zips ---


def test_a_zip_with_modules_packages_and_data(runner: NativeRunner) -> None:
    files: dict[str, str | bytes] = {
        "__main__.py": (
            "import importlib.resources, pathlib\n"
            "from helper import twice\n"
            "from pack.inner import thrice\n"
            "def main(args):\n"
            "    here = pathlib.Path(__file__).parent\n"
            "    return {'n': twice(thrice(1)), 'near': (here / 'near.txt').read_text(),\n"
            "        'data': importlib.resources.files('pack').joinpath('data.txt').read_text()}\n"
        ),
        "helper.py": "def twice(n): return 2 * n\n",
        "pack/__init__.py": "",
        "pack/inner.py": "from . import deeper\ndef thrice(n): return deeper.three * n\n",
        "pack/deeper.py": "three = 3\n",
        "pack/data.txt": "data",
        "near.txt": "near",
    }
    result = runner.result_of(zipped(files), form="zip")
    assert result == {"n": 6, "near": "near", "data": "data"}


def test_a_zip_is_forgotten_whole(runner: NativeRunner) -> None:
    first = {"__main__.py": "from part import main\n", "part.py": "def main(a): return {'v': 1}\n"}
    second = {"__main__.py": "from part import main\n", "part.py": "def main(a): return {'v': 2}\n"}
    assert runner.result_of(zipped({**first}), form="zip") == {"v": 1}
    assert runner.result_of(zipped({**second}), form="zip") == {"v": 2}
    assert runner.request(MessageType.UNLOAD).type is MessageType.DONE
    code = (
        "import os, sys\n"
        "def main(args):\n"
        "    mine = f'seuss-function-{os.getpid()}-'\n"
        "    return {'files': [n for n in os.listdir('/tmp') if n.startswith(mine)],\n"
        "        'modules': 'part' in sys.modules, 'path': sys.path}\n"
    )
    assert runner.result_of(code) == {"files": [], "modules": False, "path": []}


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({"other.py": ""}, "no-main", "__main__.py"),
        ({"__main__.py": "import helper", "helper.py": "x ="}, "syntax-error", "helper.py, line 1"),
        ({"__main__.py": "import helper", "helper.py": "1 / 0"}, "import-error", "ZeroDivision"),
        ({"__main__.py": "compile('x =', 'f', 'exec')"}, "import-error", "line 1"),
    ],
)
def test_a_zip_that_cannot_be_loaded(
    runner: NativeRunner, files: dict[str, str | bytes], kind: str, words: str
) -> None:
    error = runner.failure_of(zipped(files), form="zip")
    assert error["kind"] == kind
    assert words in error["message"]
    assert runner.result_of("import sys\ndef main(args): return {'path': sys.path}") == {"path": []}


@pytest.mark.parametrize("code", ["!!", "AAAA", "UEsDBA=="])
def test_bytes_that_are_no_zip(runner: NativeRunner, code: str) -> None:
    error = runner.failure_of(code, form="zip", name="archive")
    assert error["kind"] == "bad-request"
    assert "archive is not a good zip" in error["message"]


def test_a_zip_does_not_write_outside_its_folder(runner: NativeRunner) -> None:
    code = "import os\ndef main(args): return {'out': os.path.exists('/tmp/seuss-escaped')}\n"
    files: dict[str, str | bytes] = {"__main__.py": code, "../seuss-escaped": "x"}
    assert runner.result_of(zipped(files), form="zip") == {"out": False}
