"""Anticipatory optimisation: pay first-use costs once, before the base snapshot is taken."""

from __future__ import annotations

import gc
from importlib import import_module

import _seuss_heap
from _seuss_channel import Channel
from seuss_runner import failures
from seuss_runner.failures import failure_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seuss_runner.serve import Runner

#: What most functions import; used when the request names no modules.
MODULES = [
    "asyncio",
    "base64",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "http.client",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "os",
    "pathlib",
    "random",
    "re",
    "secrets",
    "statistics",
    "string",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "typing",
    "urllib.parse",
    "urllib.request",
    "uuid",
    "zipfile",
    "zlib",
    "zoneinfo",
]

#: Enough for CPython to specialise the code it runs, so that it does not write to it later.
REHEARSALS = 24

_DUMMY = """\
import json

def main(args):
    print(end="")
    if args.get("fail"):
        raise ValueError("rehearsal")
    return json.loads(json.dumps({"echo": args, "list": [1, 2.5, None, True, "\\u00e9"]}))
"""
_ARGUMENTS = {"name": "rehearsal", "n": 1, "list": [1, 2.5, "x", None, {"a": True}]}
_SYNC_SIZE = 48


def import_all(modules: list[str]) -> None:
    """Import ``modules``; raises Failure that names the first that cannot be imported."""
    for name in modules:
        try:
            import_module(name)
        except BaseException as error:
            failure = failure_of(error, failures.IMPORT_ERROR)
            failure.message = f"{name} cannot be imported: {failure.message}"
            raise failure from None


def rehearse(runner_class: type[Runner]) -> None:
    """Let a second runner renew, load, invoke, fail and unload over a channel of its own."""
    import json
    import socket

    from seuss_runner import rehearsing
    from seuss_runner.serve import INVOKE, LOAD, SYNC, UNLOAD

    load = {"name": "rehearsal", "main": "main", "format": "source", "code": _DUMMY}
    requests: list[tuple[int, str | bytes]] = [
        (SYNC, bytes(_SYNC_SIZE)),
        (LOAD, json.dumps(load)),
        (INVOKE, json.dumps(_ARGUMENTS)),
        (INVOKE, json.dumps({"fail": True})),
        (INVOKE, "{}"),
        (INVOKE, "no JSON"),
        (UNLOAD, ""),
    ]
    here, there = socket.socketpair()
    with here, there:
        host = Channel(here.fileno())
        runner = runner_class(Channel(there.fileno()))
        for _ in range(REHEARSALS):
            rehearsing.rehearse()
            for kind, payload in requests:
                host.send(kind, 0, payload)
                # SYNC is seen to on the way to the next request.
                if kind != SYNC:
                    runner.answer()
            for _ in requests[1:]:
                host.receive()


def settle() -> None:
    """Leave a heap that later collections and allocations write to as little as possible."""
    gc.collect()
    gc.freeze()
    _seuss_heap.fill()
