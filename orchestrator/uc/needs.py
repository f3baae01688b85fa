"""How much of a node's memory a function's contexts come to own, as far as that was seen."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

UNKNOWN_FRAMES: Final = 512
"""Frames of 4 KiB that a context is taken to need before one of its function answered (2 MiB).

A NOP in Python owns 150, one that fetches by HTTP 430."""
FIRST_FRAMES: Final = 1024
"""What is held for each call of a function that was never seen, until its context is: of many such
calls at once, the first show what the others need."""
FIRST_PART: Final = 8
"""But no more than one part in so many of what a context may own."""
GROWTH: Final = 2
"""What a context has before it answers may be so small a part of what it will come to own."""
MARGIN_PART: Final = 4
"""One part in so many of what a context may own is left for calls that need more than before."""
MOST_KNOWN: Final = 4096
"""Functions that are remembered; those seen longest ago are forgotten first."""
FADING: Final = 32
"""One part in so many of a difference to what was seen before counts with each look, where the
other side is the safe one."""


class Needs:
    """Frames that a context of each function needs.

    Args:
        most: frames that any context may own.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: OrderedDict[str, int] = OrderedDict()
        """Of functions whose contexts had finished a request."""
        self._growing: OrderedDict[str, int] = OrderedDict()
        """Of all others."""
        self._rested: OrderedDict[str, int] = OrderedDict()
        """What idle contexts keep."""

    def of(self, function: str) -> int:
        """Return the frames that a context of the function with this id will come to own."""
        frames = self._seen.get(function)
        if frames is None:
            frames = max(UNKNOWN_FRAMES, GROWTH * self._growing.get(function, 0))
        return min(self._most, frames)

    def at_first(self, function: str) -> int:
        """Return the frames held for a call whose context was not seen yet."""
        unseen = 0 if function in self._seen else min(FIRST_FRAMES, self._most // FIRST_PART)
        return max(unseen, self.of(function))

    def kept(self, function: str) -> int:
        """Return the frames that an idle context of the function has already."""
        return min(self._rested.get(function, 0), self.of(function))

    def margin(self, function: str) -> int:
        """Return the frames to leave for calls that need more than was seen."""
        return (
            self._most // MARGIN_PART if function in self._seen else self._most - self.of(function)
        )

    def knows(self, function: str) -> bool:
        """Whether a context of the function was seen that had answered."""
        return function in self._seen

    def finished(self, function: str, frames: int) -> None:
        """Note the most that a context owned that had answered.

        More than before counts at once, less in part.
        """
        before = max(self._seen.pop(function, 0), self._growing.pop(function, 0))
        if frames < before:
            frames = before - _part(before - frames)
        self._put(self._seen, function, frames)

    def rested(self, function: str, frames: int) -> None:
        """Note the least that an idle context keeps; some is given back only after the answer.

        Less than before counts at once, more in part.
        """
        before = self._rested.pop(function, frames)
        self._put(self._rested, function, min(frames, before + _part(frames - before)))

    def grew(self, function: str, frames: int) -> None:
        """Note what a context owned that had not answered yet: it will need that and more."""
        kept = self._seen if function in self._seen else self._growing
        self._put(kept, function, max(frames, kept.pop(function, 0)))

    def _put(self, kept: OrderedDict[str, int], function: str, frames: int) -> None:
        kept[function] = frames
        if len(kept) > MOST_KNOWN:
            kept.popitem(last=False)


def _part(difference: int) -> int:
    return (difference + FADING - 1) // FADING
