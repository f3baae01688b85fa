"""The runner's loop: one request after the other on descriptor 3 (types: wire format v1)."""

from __future__ import annotations

import gc
import sys
from posix import uname

from _seuss_channel import Channel, ProtocolError
from seuss_runner import failures
from seuss_runner.failures import Failure
from seuss_runner.invocation import decode_object, flush, invoke
from seuss_runner.jsontext import encode
from seuss_runner.loader import Function, load
from seuss_runner.optimise import MODULES, import_all, rehearse, settle
from seuss_runner.renewal import call_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seuss_runner.loader import Main

STREAM = 3
SYNC, OPTIMISE, LOAD, INVOKE, UNLOAD, BEGIN, REST = 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x09
READY, DONE, LOADED, RESULT, ERROR, POINT = 0x81, 0x82, 0x83, 0x84, 0x85, 0x8F
_STATUS_STREAM_LOST = 71


class Runner:
    """Serves one function: at most one is loaded at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._function: Function | None = None
        self._request = 0
        self._due: tuple[int, str] | None = None

    def announce(self) -> None:
        """Tell the peer that the interpreter is up."""
        system = uname()
        ready = {
            "kernel": f"{system.sysname} {system.release}",
            "runtime": "python",
            "version": sys.version.split()[0],
        }
        self._channel.send(READY, 0, encode(ready))

    def answer(self) -> bool:
        """Wait for one request and answer it; return False when the peer closed the stream.

        What is captured next is answered on the way to the following request: nothing of this one
        is then left to do, in the snapshot's clones least of all.
        """
        due, self._due = self._due, None
        if due is None:
            frame = self._channel.receive()
        else:
            frame = self._channel.exchange(due[0], self._request, due[1])
        if frame is None:
            return False
        kind, request, payload = frame
        self._request = request
        try:
            if kind in (INVOKE, BEGIN):
                self._invoke(kind, payload)
            elif kind == SYNC:
                call_back(payload)
            elif kind == LOAD:
                self._due = LOADED, self._load(payload)
            elif kind == UNLOAD:
                self._unload()
                gc.collect()
                self._channel.send(DONE, request, "{}")
            elif kind == OPTIMISE:
                self._optimise(payload)
                self._due = DONE, "{}"
            else:
                raise Failure(failures.BAD_REQUEST, f"frame type {kind:#x} is not for a runner")
        except Failure as failure:
            self._channel.send(ERROR, self._request, _told(failure))
        except Exception as error:
            mishap = Failure(failures.EXCEPTION, f"the runner itself failed: {error!r}")
            self._channel.send(ERROR, self._request, _told(mishap))
        return True

    def _invoke(self, kind: int, payload: bytes) -> None:
        function = self._function
        if function is None:
            raise Failure(failures.BAD_REQUEST, "no function is loaded: LOAD one first")
        told = decode_object(payload, "arguments")
        if function.point is None and kind == INVOKE:
            self._channel.send(RESULT, self._request, invoke(function.main, told))
        elif function.point is None:
            self._channel.send(POINT, self._request, encode({"names": None, "reached": False}))
        else:
            self._approach(function.main, function.point, kind, told)

    def _approach(
        self, main: Main, point: tuple[str, ...], kind: int, told: dict[str, object]
    ) -> None:
        """Run a function with a snapshot point; BEGIN tells ``names`` and the ``args`` of these."""
        from seuss_runner.passage import Passage, reached

        arguments: object = told
        if kind == BEGIN:
            arguments = told.get("args")
            if told.get("names") != [*point]:
                self._channel.send(POINT, self._request, reached(point, False))
                return
        if not isinstance(arguments, dict) or (kind == BEGIN and not arguments.keys() <= {*point}):
            raise Failure(failures.BAD_REQUEST, "BEGIN takes the named arguments only")
        whole = told if kind == INVOKE else None
        passage = Passage(self._channel, self._request, point, arguments, whole)
        try:
            result = passage.run(main)
        finally:
            self._request = passage.request
        self._channel.send(RESULT, self._request, result)

    def _load(self, payload: bytes) -> str:
        """Load a function; return LOADED's payload, which names its snapshot point's arguments."""
        self._unload()
        try:
            self._function = load(decode_object(payload, "LOAD request's contents"))
        finally:
            flush()
        told = "{}"
        if self._function.point is not None:
            # Part of the function's snapshot, and for functions with a point alone.
            import seuss_runner.passage  # noqa: F401

            told = encode({"point": self._function.point})
        # Later collections then leave the pages of the loaded function clean.
        gc.freeze()
        return told

    def _unload(self) -> None:
        if self._function is not None:
            self._function.unload()
            self._function = None

    def _optimise(self, payload: bytes) -> None:
        contents = decode_object(payload, "OPTIMISE request's contents")
        # Its modules are for the bases that use them.
        from seuss_runner import networking

        networking.exercise()
        if contents.get("only") == "network":
            settle()
            return
        modules = contents.get("modules", MODULES)
        if not (isinstance(modules, list) and all(isinstance(name, str) for name in modules)):
            raise Failure(failures.BAD_REQUEST, "modules is no list of names")
        import_all(modules)
        rehearse(Runner)
        settle()


def _told(failure: Failure) -> str:
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
        while runner.answer():
            pass
    except (ProtocolError, OSError) as error:
        print(f"seuss: the request stream is lost: {error}", file=sys.stderr)
        return _STATUS_STREAM_LOST
    return 0
