"""What an idle interpreter runs so that its machine has translated what functions need most.

Machines restored ahead of a request run it at a snapshot point, with a function in the interpreter.
So it leaves no trace that a function could see: no module is imported, nothing is printed, no
random number is drawn, and what it makes it drops.
"""

from __future__ import annotations

import re
from math import log, sqrt

from seuss_runner.invocation import decode_object, encode_result, flush

#: As often as it takes an emulator to link what it translated into longer stretches.
TURNS = 3

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(-?\d+)(\.\d+)?")
_TEXT = "The quick brown fox jumps over 13 lazy dogs, 2.5 times; \u00e9t\u00e9, the end.\n" * 4
_REQUEST = (
    b'{"query": "brown fox", "limit": 10, "ratio": -2.5e-3, "flags": [true, false, null], '
    b'"nested": {"names": ["a", "b\\u00e9"], "empty": {}, "none": []}}'
)


class _Record:
    """Has attributes, a property and methods."""

    kind = "record"

    def __init__(self, name: str, *values: float, **others: object) -> None:
        self.name = name
        self.values = [*values]
        self.others = others

    @property
    def total(self) -> float:
        return sum(self.values)

    def scaled(self, factor: float = 2.0) -> _Record:
        return _Record(self.name, *(value * factor for value in self.values), **self.others)


def rehearse() -> None:
    """Do a little of what most functions do."""
    for _ in range(TURNS):
        request = decode_object(_REQUEST, "rehearsal")
        words = _count(_WORD.findall(_TEXT.lower()))
        encode_result({"request": request, "words": words, "values": _compute(), "text": _write()})
        flush()


def _count(words: list[str]) -> list[list[object]]:
    counts: dict[str, dict[int, int]] = {}
    for place, word in enumerate(words):
        inner = counts.setdefault(word, {})
        inner[place % 3] = inner.get(place % 3, 0) + 1
    scores = {word: log(1 + len(word) / sum(each.values())) for word, each in counts.items()}
    best = sorted(scores, key=lambda word: (-scores[word], word))[:10]
    seen = {*best} | {*words[:5]} - {"the"}
    pairs = zip(best, range(len(best)), strict=True)
    return [[word, round(scores[word], 6), place] for word, place in pairs if word in seen]


def _compute() -> list[float]:
    values: list[float] = [sqrt(n) * 1.5 - n // 3 + n % 7 for n in range(40)]
    values.sort(reverse=True)
    record = _Record("one", *values[:5], unit="ms").scaled()
    whole = 3**50 // 7 + (1 << 40) ^ 12345
    try:
        values.index(-1e9)
    except ValueError:
        values.append(float(whole % 1000))
    values.extend(value for value in map(abs, values[::5]) if value > 1)
    return [record.total, min(values), max(values), float(all(values)), *reversed(values[-3:])]


def _write() -> str:
    lines = [
        f"{n:>4} {n / 3:.3f} {'x' * n!r} {n:x}".ljust(30).replace("x", "y").strip()
        for n in range(12)
    ]
    lines += ["%s=%d" % ("n", n) for n in range(3)]  # noqa: UP031
    text = "\n".join(lines)
    parts = text.encode().decode().partition("=")
    numbers = [int(found[1]) for found in _NUMBER.finditer(text)]
    data = bytearray(text, "ascii")[10:50]
    return _NUMBER.sub("#", parts[0]).title() + str(numbers) + data.hex() + repr(1.1 * len(text))
