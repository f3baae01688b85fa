"""The ways in which an invocation can be served."""

from __future__ import annotations

from enum import StrEnum


class Path(StrEnum):
    """What an invocation starts from; the names are those of the paper where it has one."""

    AUTO = "auto"
    """The deepest snapshot that fits; what is missing is captured on the way."""
    BOOTED = "booted"
    """Nothing: boot the image, start the interpreter, import the function."""
    COLD = "cold"
    """The base snapshot: import the function, capture its snapshot, run it."""
    WARM = "warm"
    """The function's snapshot: run it."""
    RESUMED = "resumed"
    """A snapshot at the function's snapshot point, taken with the same values of the arguments
    that it names: go on from there."""
    HOT = "hot"
    """An idle context that has the function loaded: run it. Only uc isolation keeps those."""
