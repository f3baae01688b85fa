"""One invocation's way to its snapshot point and past it.

With BEGIN the guest has the named arguments only. At the point it is captured: by its own kernel,
where that takes snapshots, or from outside while it waits. REST then brings the others: to the one
that was captured as to every copy, which first hears of its new randomness and time by SYNC. In
REST the named arguments are null: the guest has them already. With INVOKE it has everything from
the start; it is not captured, and sees the same. OPTIMISE at the point runs what makes the request
to come quicker, and nothing of the function's.
"""

from __future__ import annotations

import gc
import sys
from _thread import _count as thread_count
from _thread import allocate_lock

import seuss
from _seuss_channel import Channel, capture
from seuss_runner import failures
from seuss_runner.failures import Failure
from seuss_runner.guard import guarded, lift
from seuss_runner.invocation import decode_object, flush, invoke
from seuss_runner.jsontext import encode
from seuss_runner.renewal import call_back
from seuss_runner.serve import DONE, OPTIMISE, POINT, REST, SYNC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seuss_runner.loader import Main

_IN_A_COPY = 0


class Passage:
    """Serves one INVOKE (``whole`` is all arguments) or BEGIN (None) of a function with a point.

    ``request`` is the request to be answered: after the point, that of REST.
    """

    def __init__(
        self,
        channel: Channel,
        request: int,
        names: tuple[str, ...],
        arguments: dict[str, object],
        whole: dict[str, object] | None,
    ) -> None:
        self.request = request
        self._channel = channel
        self._names = names
        self._arguments = guarded(names, arguments)
        self._whole = whole
        self._crossed = False
        self._one = allocate_lock()

    def run(self, main: Main) -> str:
        """Call ``main``; return the result's JSON; raises Failure."""
        seuss._passage = self
        try:
            return invoke(main, self._arguments)
        finally:
            seuss._passage = None

    def cross(self, names: tuple[str, ...]) -> dict[str, object]:
        """Get past the point, if that is not done; return all arguments."""
        if tuple(sorted(set(names))) != self._names:
            raise seuss.PointError(
                f"snapshot_point{names} is not what the source says: write its names, and the "
                "call's own name, as they are"
            )
        with self._one:
            if not self._crossed:
                lift(self._arguments, self._rest() if self._whole is None else self._whole)
                self._crossed = True
        return self._arguments

    def _rest(self) -> dict[str, object]:
        """Be captured, and wait for the other arguments."""
        flush()
        # Later collections then leave the pages of what was made until now clean.
        gc.freeze()
        if capture() != _IN_A_COPY:
            self._channel.send(POINT, self.request, reached(self._names, True))
        while (frame := self._channel.receive()) is not None:
            kind, request, payload = frame
            if kind == SYNC:
                call_back(payload)
            elif kind == OPTIMISE:
                rehearse()
                self._channel.send(DONE, request, "{}")
            elif kind == REST:
                self.request = request
                return decode_object(payload, "arguments")
            else:
                raise Failure(failures.BAD_REQUEST, f"frame type {kind:#x} came instead of REST")
        raise EOFError("the stream ended before the rest of the arguments came")


def rehearse() -> None:
    """Rehearse what functions do, if the interpreter was given it before it got a function.

    Not where code of the function's would run meanwhile, before SYNC: in threads of its own, which
    would draw what its siblings draw, or in what watches the interpreter.
    """
    rehearsing = sys.modules.get("seuss_runner.rehearsing")
    watched = sys.gettrace() or sys.getprofile()
    if rehearsing is not None and not watched and thread_count() == 0:
        rehearsing.rehearse()


def reached(names: tuple[str, ...], there: bool) -> str:
    """Return POINT's payload: the names of the function's point, and whether it is there."""
    return encode({"names": names, "reached": there})
