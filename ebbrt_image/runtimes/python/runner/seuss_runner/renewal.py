"""Make a restored clone unlike its siblings: renew the random state that Python keeps to itself.

The kernel renews its own generator, so `os.urandom`, `secrets`, `uuid4` and `SystemRandom` differ
by themselves. Renewed here: OpenSSL's generators, every `random.Random` that was seeded without a
value, the module's own generator among them, and the node and clock state of `uuid`. A generator
seeded with a value, or set by `setstate`, keeps the sequence that was asked for. The hash seed of
`str` and `bytes` cannot change once the interpreter runs: clones of one snapshot order their sets
alike.
"""

from __future__ import annotations

import sys
from _struct import Struct
from _weakref import ref

import _seuss_openssl
import seuss
from seuss_runner.failures import BAD_REQUEST, EXCEPTION, Failure, failure_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    _Seed = int | float | str | bytes | bytearray | None

_SYNC = Struct("<QQ32s")
_unseeded: dict[int, ref[Random]] = {}
_draw_seed: Callable[[Random], object]


def watch(random_class: type[Random], namespace: dict[str, object]) -> None:
    """Keep track of generators without a seed; run at the end of module `random`."""
    global _draw_seed
    plain_seed = random_class.seed
    plain_setstate = random_class.setstate
    # The C generator's own method: short, and it seeds from the kernel.
    _draw_seed = random_class.__mro__[1].seed  # type: ignore[attr-defined]

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


def renew(payload: bytes) -> None:
    """Act on a SYNC payload: u64 wall clock in ns, u64 generation, 32 bytes that are not for us."""
    if len(payload) != _SYNC.size:
        raise Failure(BAD_REQUEST, f"a SYNC payload has {_SYNC.size} bytes, not {len(payload)}")
    seuss._generation = _SYNC.unpack(payload)[1]
    _seuss_openssl.restored()
    for key, reference in list(_unseeded.items()):
        generator = reference()
        if generator is None:
            del _unseeded[key]
        else:
            _draw_seed(generator)
            generator.gauss_next = None  # type: ignore[attr-defined]
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        uuid._node = uuid._last_timestamp = None  # type: ignore[attr-defined]
    for callback in seuss._callbacks:
        try:
            callback()
        except BaseException as error:
            failure = failure_of(error, EXCEPTION)
            print(f"seuss: on_restore: {failure.traceback or failure.message}", file=sys.stderr)
