"""Anticipatory optimisation: pay first-use costs once, before the base snapshot is taken."""

from __future__ import annotations

import gc
from importlib import import_module

from seuss_runner import failures
from seuss_runner.failures import Failure, failure_of
from seuss_runner.invocation import invoke
from seuss_runner.loader import load

#: What most functions import; used when the request names no modules.
MODULES = (
    "asyncio base64 collections contextlib copy csv dataclasses datetime decimal enum functools "
    "hashlib hmac http.client io itertools json logging math operator os pathlib random re secrets "
    "statistics string textwrap threading time traceback typing urllib.parse urllib.request uuid "
    "zipfile zlib zoneinfo"
).split()

_DUMMY = '''
import json

def main(args):
    print("warm", end="")
    if args.get("fail"):
        raise ValueError("warm")
    return json.loads(json.dumps({"echo": args, "list": [1, 2.5, None, True, "\\u00e9"]}))
'''
_ARGUMENTS = b'{"name": "warm", "n": 1, "list": [1, 2.5, "x", null, {"a": true}], "fail": %b}'


def optimise(modules: list[str]) -> None:
    """Import ``modules`` and take a dummy function along every usual path; raises Failure."""
    for name in modules:
        try:
            import_module(name)
        except BaseException as error:
            failure = failure_of(error, failures.IMPORT_ERROR)
            failure.message = f"{name} cannot be imported: {failure.message}"
            raise failure from None
    _rehearse()
    settle()


def settle() -> None:
    """Collect garbage and set what lives apart, so that later collections leave its pages clean."""
    gc.collect()
    gc.freeze()


def _rehearse() -> None:
    """Load, invoke, fail and unload a dummy function."""
    function = load({"name": "warm", "main": "main", "format": "source", "code": _DUMMY})
    for fail in (b"false", b"true", b"0", b"nul"):
        try:
            invoke(function.main, _ARGUMENTS % fail)
        except Failure:
            continue
    function.unload()
