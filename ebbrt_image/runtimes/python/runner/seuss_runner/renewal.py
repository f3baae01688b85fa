"""Make a restored clone unlike its siblings: renew the random state that Python keeps to itself.

The kernel renews its own generator, so `os.urandom`, `secrets`, `uuid4` and `SystemRandom` differ by
themselves. Renewed here: every `random.Random` that was seeded without a value, the module's
own generator among them, and the node and clock state of `uuid`. A generator seeded with a value, or
set by `setstate`, keeps the sequence that was asked for. The hash seed of `str` and `bytes` cannot
change once the interpreter runs: clones of one snapshot order their sets alike.
"""

from __future__ import annotations

import sys
from _struct import Struct
from weakref import WeakSet

import seuss

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_SYNC = Struct("<QQ32s")
_unseeded: WeakSet[Random] = WeakSet()


def watch(random_class: type[Random], namespace: dict[str, object]) -> None:
    """Keep track of generators without a seed; run at the end of module `random`."""
    plain_seed = random_class.seed
    plain_setstate = random_class.setstate

    def seed(self: Random, a: int | float | str | bytes | None = None, version: int = 2) -> None:
        plain_seed(self, a, version)
        if a is None:
            _unseeded.add(self)
        else:
            _unseeded.discard(self)

    def setstate(self: Random, state: tuple[object, ...]) -> None:
        plain_setstate(self, state)
        _unseeded.discard(self)

    random_class.seed = seed  # type: ignore[method-assign]
    random_class.setstate = setstate  # type: ignore[method-assign]
    instance = namespace["_inst"]
    assert isinstance(instance, random_class)
    _unseeded.add(instance)
    namespace["seed"] = instance.seed
    namespace["setstate"] = instance.setstate


def renew(payload: bytes) -> None:
    """Act on a SYNC payload: u64 wall clock in ns, u64 generation, 32 bytes (not for us)."""
    seuss._generation = _SYNC.unpack(payload)[1]
    for generator in list(_unseeded):
        generator.seed()
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        uuid.__dict__.update(_node=None, _last_timestamp=None)
    for callback in seuss._callbacks:
        try:
            callback()
        except BaseException as error:
            from seuss_runner.failures import EXCEPTION, failure_of

            failure = failure_of(error, EXCEPTION)
            print(f"seuss: on_restore: {failure.traceback or failure.message}", file=sys.stderr)
