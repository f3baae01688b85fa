"""Types of the C module in ../RenewalModule.c."""

from _weakref import ref
from collections.abc import Callable
from random import Random

def keep(unseeded: dict[int, ref[Random]], callbacks: list[Callable[[], object]], /) -> None:
    """Renew these generators with every restore; have it told to Python if there are callbacks."""

def renew(generation: int, /) -> bool:
    """Make this clone unlike its siblings; return whether there are callbacks."""

def generation() -> int:
    """Return the number of the last restore; 0 before the first."""
