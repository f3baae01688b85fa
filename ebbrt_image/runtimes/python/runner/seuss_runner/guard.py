"""The arguments as a function sees them before its snapshot point: the named ones, nothing else.

The others are not in the guest yet, or lie where this mapping does not lead, so that going around
its methods gains nothing. It only sees to it that a function which needs them hears of it.
"""

from __future__ import annotations

import seuss

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NEEDS_ALL = (
    "__iter__ __len__ __bool__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __or__ __ror__ __ior__ "
    "__reversed__ __repr__ __reduce__ __reduce_ex__ __copy__ __deepcopy__ copy items keys values"
)
_CHANGES = "__setitem__ __delitem__ clear pop popitem setdefault update"


class Arguments(dict[str, object]):
    """The arguments after the point: a dict that was a `Guarded`."""

    __slots__ = ()


class _Unread:
    """Stands in a `Guarded` for what is not there, so that no shortcut takes it for empty."""

    def __repr__(self) -> str:
        return "<not readable before snapshot_point>"


_UNREAD = _Unread()
_names: tuple[str, ...] = ()


class Guarded(dict[str, object]):
    """A dict of the named arguments; any use that would need the others raises PointError."""

    __slots__ = ()

    def __getitem__(self, name: str) -> object:
        return dict.__getitem__(self, _checked(name))

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, _checked(name))

    def get(self, name: str, default: object = None) -> object:
        """Return a named argument, or ``default`` where the caller gave none."""
        return dict.get(self, _checked(name), default)


def guarded(names: tuple[str, ...], arguments: dict[str, object]) -> Guarded:
    """Return those of ``arguments`` that have one of ``names``, guarded."""
    global _names
    _names = names
    guard = Guarded((name, arguments[name]) for name in names if name in arguments)
    dict.__setitem__(guard, _UNREAD, _UNREAD)  # type: ignore[misc]
    return guard


def lift(guard: Guarded, whole: dict[str, object]) -> None:
    """Make ``guard`` a plain dict of all arguments, in the order of ``whole``.

    The named ones keep the values that they have here, with all that was done to them; in ``whole``
    they only have their places.
    """
    values = {name: dict.get(guard, name, value) for name, value in whole.items()}
    dict.clear(guard)
    dict.update(guard, values)
    guard.__class__ = Arguments  # type: ignore[assignment]


def _checked(name: object) -> str:
    if isinstance(name, str) and name in _names:
        return name
    raise _refusal(f"args[{name!r}] is read")


def _refusal(what: str) -> seuss.PointError:
    point = f"snapshot_point({', '.join(map(repr, _names))})"
    readable = f"only {', '.join(_names)} can be read" if _names else "no argument can be read"
    return seuss.PointError(
        f"{what} before {point}: until then {readable}. Name it there, or do this after it."
    )


def _refusing(method: str, what: str) -> Callable[..., object]:
    def refuse(*_unused: object, **_unused_too: object) -> object:
        raise _refusal(f"args.{method} {what}")

    return refuse


for _method in _NEEDS_ALL.split():
    setattr(Guarded, _method, _refusing(_method, "needs all arguments"))
for _method in _CHANGES.split():
    setattr(Guarded, _method, _refusing(_method, "changes the arguments"))
