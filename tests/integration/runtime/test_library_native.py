"""The standard library inside the program."""

from __future__ import annotations

import pytest

from orchestrator.wire import MessageType
from tests.integration.runtime.native_runner import NativeRunner

IMPORT_ALL = """
import _imp, importlib, sys

def main(args):
    failed = {}
    names = sorted({*_imp._frozen_module_names(), *sys.builtin_module_names})
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed[name] = repr(error)
    return {"names": names, "failed": failed}
"""


def test_every_module_inside_can_be_imported(runner: NativeRunner) -> None:
    result = runner.result_of(IMPORT_ALL)
    wanted = {"json.decoder", "asyncio.taskgroups", "unittest.mock", "xml.etree.ElementTree"}
    wanted |= {"email.mime.text", "zoneinfo", "concurrent.futures.thread", "encodings.cp1252"}
    assert wanted <= set(result["names"])
    assert len(result["names"]) > 500
    assert result["failed"] == {}


@pytest.mark.parametrize(
    "name",
    [
        "_asyncio",
        "_bz2",
        "_contextvars",
        "_decimal",
        "_hashlib",
        "_json",
        "_lsprof",
        "_lzma",
        "_queue",
        "_ssl",
        "_typing",
        "_zoneinfo",
        "mmap",
        "resource",
        "zlib",
    ],
)
def test_accelerators_are_compiled_in(runner: NativeRunner, name: str) -> None:
    code = f"import {name}\ndef main(args): return {{'name': {name}.__spec__.origin}}"
    assert runner.result_of(code) == {"name": "built-in"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("json.dumps.__module__ and json.encoder.c_make_encoder is not None", True),
        ("str(decimal.Decimal(1) / 7)", "0.1428571428571428571428571429"),
        ("decimal.Decimal is __import__('_decimal').Decimal", True),
        ("hashlib.new('sha256', b'x').hexdigest()[:8]", "2d711642"),
        ("hashlib.sha3_256(b'').hexdigest()[:8]", "a7ffc6f8"),
        ("len(hashlib.pbkdf2_hmac('sha256', b'p', b's', 10))", 32),
        ("hmac.new(b'k', b'm', 'sha512').hexdigest()[:8]", "94ec9586"),
        ("zlib.decompress(zlib.compress(b'abc' * 99)) == b'abc' * 99", True),
        ("lzma.decompress(lzma.compress(b'abc' * 99)) == b'abc' * 99", True),
        ("bz2.decompress(bz2.compress(b'abc' * 99)) == b'abc' * 99", True),
        ("'日本'.encode('shift_jis').hex()", "93fa967b"),
        ("[t.text for t in ElementTree.fromstring('<a><b>1</b></a>')]", ["1"]),
        ("re.sub(r'(\\w+)@', r'\\1 at ', 'me@x')", "me at x"),
        ("pickle.loads(pickle.dumps({'a': (1,)})) == {'a': (1,)}", True),
        ("statistics.median([3, 1, 2])", 2),
        ("datetime.datetime(2024, 7, 1, 12, tzinfo=ZoneInfo('UTC')).isoformat()[-6:]", "+00:00"),
        ("sys.flags.utf8_mode", 1),
        ("sys.flags.isolated", 1),
        ("os.environ['HOME']", "/tmp"),
    ],
)
def test_the_library_works(runner: NativeRunner, expression: str, expected: object) -> None:
    code = (
        "import bz2, datetime, decimal, hashlib, hmac, json, lzma, os, pickle, re, statistics\n"
        "import sys, zlib\n"
        "from xml.etree import ElementTree\n"
        "from zoneinfo import ZoneInfo\n"
        f"def main(args): return {{'value': {expression}}}\n"
    )
    assert runner.result_of(code) == {"value": expected}


def test_asserts_work(runner: NativeRunner) -> None:
    error = runner.failure_of("def main(args): assert args, 'needs some'")
    assert error["message"] == "AssertionError: needs some"


def test_threads_executors_and_queues(runner: NativeRunner) -> None:
    code = (
        "import asyncio, queue, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "async def main(args):\n"
        "    box = queue.Queue()\n"
        "    threads = [threading.Thread(target=box.put, args=(n,)) for n in range(4)]\n"
        "    [t.start() for t in threads]; [t.join() for t in threads]\n"
        "    with ThreadPoolExecutor(2) as pool:\n"
        "        squares = list(pool.map(lambda n: n * n, range(4)))\n"
        "    slow = await asyncio.to_thread(lambda: time.sleep(0.01) or 'woken')\n"
        "    try:\n"
        "        await asyncio.wait_for(asyncio.sleep(60), 0.02)\n"
        "    except TimeoutError:\n"
        "        slow += ' in time'\n"
        "    return {'box': sorted(box.queue), 'squares': squares, 'slow': slow}\n"
    )
    expected = {"box": [0, 1, 2, 3], "squares": [0, 1, 4, 9], "slow": "woken in time"}
    assert runner.result_of(code) == expected


def test_the_network_can_be_exercised_alone(runner: NativeRunner) -> None:
    assert runner.request(MessageType.OPTIMISE, b'{"only": "network"}').type is MessageType.DONE
    names = "('socket', 'zoneinfo')"
    code = f"import sys\ndef main(args): return {{n: n in sys.modules for n in {names}}}"
    assert runner.result_of(code) == {"socket": True, "zoneinfo": False}
    assert runner.end() == ("", "")


def test_optimise_imports_and_leaves_the_runner_as_it_was(runner: NativeRunner) -> None:
    assert runner.request(MessageType.OPTIMISE, b'{"modules": ["csv"]}').type is MessageType.DONE
    code = "import sys\ndef main(args): return {'csv': 'csv' in sys.modules}"
    assert runner.result_of(code) == {"csv": True}
    assert runner.request(MessageType.OPTIMISE, b"{}").type is MessageType.DONE
    assert runner.failure_of("def main(args): nothing_here()", name="after")["traceback"]
    assert runner.end() == ("", "")


def test_optimise_names_a_module_that_does_not_exist(runner: NativeRunner) -> None:
    error = runner.request(MessageType.OPTIMISE, b'{"modules": ["no_such_thing"]}').json()
    assert error["kind"] == "import-error"
    assert "no_such_thing cannot be imported" in error["message"]
    assert runner.request(MessageType.OPTIMISE, b'{"modules": 5}').json()["kind"] == "bad-request"
