"""What a function can ask of the platform it runs on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` for real would cost every context its memory
    from collections.abc import Callable
    from typing import TypeVar

    Callback = TypeVar("Callback", bound=Callable[[], object])

_callbacks: list[Callable[[], object]] = []
_generation = 0


def generation() -> int:
    """Return the number of the restore this context comes from; 0 before the first."""
    return _generation


def on_restore(callback: Callback) -> Callback:
    """Have ``callback()`` called after every later restore; usable as a decorator.

    It runs before the next invocation, after the random generators have been renewed: the place to
    drop a connection, or to draw a new identity. What it raises is printed on stderr.
    """
    _callbacks.append(callback)
    return callback
