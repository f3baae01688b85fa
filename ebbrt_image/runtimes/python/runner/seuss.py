"""What a function can ask of the platform it runs on."""

from __future__ import annotations

import _seuss_renewal

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` for real would cost every context its memory
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    Callback = TypeVar("Callback", bound=Callable[[], object])

    class _Passage(Protocol):
        def cross(self, names: tuple[str, ...]) -> dict[str, object]: ...


_callbacks: list[Callable[[], object]] = []
_passage: _Passage | None = None


class PointError(RuntimeError):
    """Before its snapshot point a function asked for more than the arguments the point names."""


def generation() -> int:
    """Return the number of the restore this context comes from; 0 before the first."""
    return _seuss_renewal.generation()


def on_restore(callback: Callback) -> Callback:
    """Have ``callback()`` called after every later restore; usable as a decorator.

    It runs before the next invocation, or at the snapshot point that the restore goes on from,
    after the random generators have been renewed: the place to drop a connection, or to draw a new
    identity. What it raises is printed on stderr.
    """
    _callbacks.append(callback)
    return callback


def snapshot_point(*names: str) -> dict[str, object]:
    """Mark the end of what depends on the arguments ``names`` alone; return all arguments.

    The platform may keep the state reached here, and answer a later call with the same values of
    these arguments from here on. So until then ``args`` lets only them be read, one by one; any
    other use raises PointError. Write the names as plain texts: they are read from the source.
    What is returned is ``args`` itself, from here on a dict like any other.
    """
    if _passage is None:
        raise PointError(
            "snapshot_point is for main, in the function's file, with its names as plain texts"
        )
    return _passage.cross(names)
