"""What of Python's random state a restore renews, and who is told.

The kernel renews its own generator, so `os.urandom`, `secrets`, `uuid4` and `SystemRandom` differ
by themselves. Renewed here: OpenSSL's generators, every `random.Random` that was seeded without a
value, the module's own generator among them, and the node and clock state of `uuid`. A generator
seeded with a value, or set by `setstate`, keeps the sequence that was asked for. The hash seed of
`str` and `bytes` cannot change once the interpreter runs: clones of one snapshot order their sets
alike.

The renewal itself is C (../RenewalModule.c), for it runs in every clone.
"""

from __future__ import annotations

import sys
from _weakref import ref

import _seuss_renewal
import seuss
from seuss_runner.failures import BAD_REQUEST, EXCEPTION, Failure, failure_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    _Seed = int | float | str | bytes | bytearray | None

_SYNC_SIZE = 48
_unseeded: dict[int, ref[Random]] = {}
_seuss_renewal.keep(_unseeded, seuss._callbacks)


def watch(random_class: type[Random], namespace: dict[str, object]) -> None:
    """Keep track of generators without a seed; run at the end of module `random`."""
    plain_seed = random_class.seed
    plain_setstate = random_class.setstate

    def seed(self: Random, a: _Seed = None, version: int = 2) -> None:
        plain_seed(self, a, version)
        if a is None:
            _unseeded[id(self)] = ref(self)
        else:
            _unseeded.pop(id(self), None)

    def setstate(self: Random, state: tuple[object, ...]) -> None:
        plain_setstate(self, state)
        _unseeded.pop(id(self), None)

    random_class.seed = seed  # type: ignore[method-assign]
    random_class.setstate = setstate  # type: ignore[method-assign]
    instance = namespace["_inst"]
    assert isinstance(instance, random_class)
    _unseeded[id(instance)] = ref(instance)
    namespace["seed"] = instance.seed
    namespace["setstate"] = instance.setstate


def call_back(payload: bytes) -> None:
    """Call what `on_restore` was given; the channel hands SYNC on when there is something.

    Raises Failure for a payload of a wrong size, for which the channel renewed nothing.
    """
    if len(payload) != _SYNC_SIZE:
        raise Failure(BAD_REQUEST, f"a SYNC payload has {_SYNC_SIZE} bytes, not {len(payload)}")
    for callback in seuss._callbacks:
        try:
            callback()
        except BaseException as error:
            failure = failure_of(error, EXCEPTION)
            print(f"seuss: on_restore: {failure.traceback or failure.message}", file=sys.stderr)
