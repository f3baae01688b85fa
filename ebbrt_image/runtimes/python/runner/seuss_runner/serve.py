"""The runner's loop: one request after the other on descriptor 3."""

from __future__ import annotations

import gc
import os
import sys

from seuss_runner import failures, frames
from seuss_runner.channel import Channel, Disconnected
from seuss_runner.failures import Failure
from seuss_runner.frames import ProtocolError
from seuss_runner.invocation import decode_object, flush, invoke
from seuss_runner.jsontext import encode
from seuss_runner.loader import Function, load
from seuss_runner.optimise import MODULES, optimise, settle
from seuss_runner.renewal import renew

STREAM = 3
_STATUS_PROTOCOL = 71


class Runner:
    """Serves one function: at most one is loaded at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._function: Function | None = None

    def announce(self) -> None:
        """Tell the peer that the interpreter is up."""
        system = os.uname()
        ready = {
            "kernel": f"{system.sysname} {system.release}",
            "runtime": "python",
            "version": sys.version.split()[0],
        }
        self._channel.send(frames.READY, 0, encode(ready))

    def serve(self) -> None:
        """Answer requests until the peer closes the stream."""
        receive, send = self._channel.receive, self._channel.send
        while True:
            kind, request, payload = receive()
            try:
                if kind == frames.INVOKE:
                    if self._function is None:
                        raise Failure(failures.BAD_REQUEST, "no function is loaded: LOAD one first")
                    send(frames.RESULT, request, invoke(self._function.main, payload))
                elif kind == frames.SYNC:
                    renew(payload)
                elif kind == frames.LOAD:
                    self._load(payload)
                    send(frames.LOADED, request, b"{}")
                elif kind == frames.UNLOAD:
                    self._unload()
                    gc.collect()
                    send(frames.DONE, request, b"{}")
                elif kind == frames.OPTIMISE:
                    self._optimise(payload)
                    send(frames.DONE, request, b"{}")
                else:
                    raise Failure(failures.BAD_REQUEST, f"frame type {kind:#x} is not for a runner")
            except Failure as failure:
                send(frames.ERROR, request, _told(failure))

    def _load(self, payload: bytes) -> None:
        self._unload()
        try:
            self._function = load(decode_object(payload, "LOAD request's contents"))
        finally:
            flush()
        settle()

    def _unload(self) -> None:
        if self._function is not None:
            self._function.unload()
            self._function = None

    def _optimise(self, payload: bytes) -> None:
        modules = decode_object(payload, "OPTIMISE request's contents").get("modules", MODULES)
        if not (isinstance(modules, list) and all(isinstance(name, str) for name in modules)):
            raise Failure(failures.BAD_REQUEST, "modules is no list of names")
        optimise(modules)


def _told(failure: Failure) -> bytes:
    return encode(
        {"kind": failure.kind, "message": failure.message, "traceback": failure.traceback}
    )


def _add_builtins() -> None:
    """Add what `site` would: `exit` and `quit`, which many scripts use."""
    import builtins

    from _sitebuiltins import Quitter

    for name in ("exit", "quit"):
        setattr(builtins, name, Quitter(name, "Ctrl-D (i.e. EOF)"))


def main() -> int:
    """Serve until the stream ends; return the exit status."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _add_builtins()
    runner = Runner(Channel(STREAM))
    try:
        runner.announce()
        runner.serve()
    except Disconnected:
        return 0
    except (ProtocolError, OSError) as error:
        print(f"seuss: the request stream is lost: {error}", file=sys.stderr)
        return _STATUS_PROTOCOL
    return 0
