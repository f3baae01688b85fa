"""What a node keeps for later requests: idle contexts by function, and functions' snapshots."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection


class IdleContexts:
    """Idle UCs, each with a function loaded; the least recently used go first.

    Args:
        per_function: most UCs kept of one function.
        in_all: most UCs kept.
        clock: seconds from whenever.
    """

    def __init__(
        self, per_function: int, in_all: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_function = per_function
        self._in_all = in_all
        self._clock = clock
        self._since: dict[int, float] = {}
        self._functions: OrderedDict[int, str] = OrderedDict()
        self._contexts: dict[str, deque[int]] = {}

    def __len__(self) -> int:
        return len(self._functions)

    def add(self, function: str, context: int) -> list[int]:
        """Keep a UC; return those to be ended for it, which may be itself."""
        self._functions[context] = function
        self._since[context] = self._clock()
        self._contexts.setdefault(function, deque()).append(context)
        surplus = []
        while len(self._contexts.get(function, ())) > self._per_function:
            surplus.append(self._contexts[function][0])
            self.forget(surplus[-1])
        while len(self._functions) > self._in_all:
            surplus += self.pop_oldest(1)
        return surplus

    def take(self, function: str) -> int | None:
        """Return the function's UC that was used last, no longer kept; None if there is none."""
        kept = self._contexts.get(function)
        if not kept:
            return None
        context = kept[-1]
        self.forget(context)
        return context

    def pop_all(self, function: str) -> list[int]:
        """Return the function's UCs; they are no longer kept."""
        contexts = [*self._contexts.get(function, ())]
        for context in contexts:
            self.forget(context)
        return contexts

    def forget(self, context: int) -> None:
        """Keep this UC no longer, if it was kept."""
        function = self._functions.pop(context, None)
        if function is None:
            return
        del self._since[context]
        kept = self._contexts[function]
        kept.remove(context)
        if not kept:
            del self._contexts[function]

    def function(self, context: int) -> str | None:
        """Return the function of a UC that is kept; None for any other."""
        return self._functions.get(context)

    def functions(self) -> Collection[str]:
        """Return the functions of all UCs that are kept."""
        return self._contexts.keys()

    def longest(self) -> float:
        """Return the seconds that the UC unused longest has been unused; 0 without any."""
        oldest = next(iter(self._functions), None)
        return 0.0 if oldest is None else self._clock() - self._since[oldest]

    def pop_unused(self, seconds: float) -> list[int]:
        """Return the UCs that were unused for so long; they are no longer kept."""
        unused: list[int] = []
        while self._functions and self.longest() >= seconds:
            unused += self.pop_oldest(1)
        return unused

    def pop_oldest(self, count: int) -> list[int]:
        """Return up to `count` UCs that were unused longest; they are no longer kept."""
        oldest = list(itertools.islice(self._functions, count))
        for context in oldest:
            self.forget(context)
        return oldest


class ArgumentSnapshots:
    """Argument snapshots inside a node by function and key, the least recently used first.

    Args:
        per_function: most snapshots kept of one function: its callers choose how many keys it has.
    """

    def __init__(self, per_function: int) -> None:
        self._per_function = per_function
        self._numbers: OrderedDict[tuple[str, str], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._numbers)

    def holds(self, function: str, key: str, number: int | None = None) -> bool:
        """Whether there is a snapshot of these values, and it is this one if one is named."""
        kept = self._numbers.get((function, key))
        return kept is not None and number in (None, kept)

    def find(self, function: str, key: str) -> int | None:
        """Return the snapshot of these values, and note that it was used."""
        number = self._numbers.get((function, key))
        if number is not None:
            self._numbers.move_to_end((function, key))
        return number

    def put(self, function: str, key: str, number: int) -> list[int]:
        """Keep a snapshot; return those that are no longer kept for it."""
        replaced = self._numbers.pop((function, key), None)
        self._numbers[function, key] = number
        mine = [place for place in self._numbers if place[0] == function]
        too_many = max(0, len(mine) - self._per_function)
        surplus = [self._numbers.pop(place) for place in mine[:too_many]]
        return surplus if replaced is None else [replaced, *surplus]

    def forget(self, function: str, key: str, number: int) -> None:
        """Keep a snapshot no longer, if it is still the one of these values."""
        if self._numbers.get((function, key)) == number:
            del self._numbers[function, key]

    def origins(self) -> dict[int, str]:
        """Return the functions of the snapshots, by number."""
        return {number: function for (function, _), number in self._numbers.items()}

    def pop_first(self, wanted: Callable[[int], bool]) -> int | None:
        """Return the wanted snapshot that was unused longest, no longer kept; None if none is."""
        for place, number in self._numbers.items():
            if wanted(number):
                return self._numbers.pop(place)
        return None


class FunctionSnapshots:
    """Function snapshots inside a node by function, the least recently used first."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, function: str) -> int | None:
        """Return the function's snapshot, and note that it was used."""
        number = self._numbers.get(function)
        if number is not None:
            self._numbers.move_to_end(function)
        return number

    def put(self, function: str, number: int) -> int | None:
        """Keep a snapshot; return the one that it replaces."""
        replaced = self._numbers.pop(function, None)
        self._numbers[function] = number
        return replaced

    def forget(self, function: str, number: int) -> None:
        """Keep a snapshot no longer, if it is still the function's."""
        if self._numbers.get(function) == number:
            del self._numbers[function]

    def origins(self) -> dict[int, str]:
        """Return the functions of the snapshots, by number."""
        return {number: function for function, number in self._numbers.items()}

    def pop_first(self, wanted: Callable[[int], bool]) -> tuple[str, int] | None:
        """Return the wanted snapshot that was unused longest, with its function; None if none is.

        It is no longer kept.
        """
        for function, number in self._numbers.items():
            if wanted(number):
                del self._numbers[function]
                return function, number
        return None
