"""Snapshot points: a call's arguments split into those that key a snapshot, and the rest.

A function with a point (`seuss.snapshot_point`, in the guest) gets the arguments that the point
names first, by BEGIN; it is captured at the point; and REST brings the others. So a snapshot holds
no value that it was not keyed by. The key is a digest of the very text that the guest is sent:
what it reads cannot differ under one key, not even in the order of a nested object.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.errors import ProtocolError, SettingsError
from orchestrator.function import Function
from orchestrator.runtimes import find_runtime
from orchestrator.wire import MAX_PAYLOAD, Frame, MessageType

MOST_NAMES: Final = 64
LONGEST_NAMES: Final = 512
"""Characters of all names as JSON; a key must fit into a manifest."""
LONGEST_LABEL: Final = 80
MOST_KNOWN: Final = 4096
ASK: Final = b'{"names":null,"args":{}}'
"""A BEGIN that fits no function: the answer tells the point's names."""

Names = tuple[str, ...]


@dataclass(frozen=True)
class Named:
    """The arguments of one call on their two ways.

    `key` is the names and the digest of their values; `begin` and `rest` are payloads of these
    frames; `function` is the function's name.
    """

    key: str
    function: str
    begin: bytes
    rest: bytes

    @property
    def label(self) -> str:
        """The function and the values for people; worked out here, since few calls need it."""
        return _label(self.function, json.loads(self.begin)["args"])


def split(function: Function, names: Names, args: Mapping[str, Any]) -> Named | None:
    """Split arguments, known to be JSON, at a point; None when they do not fit into the frames."""
    values = {name: args[name] for name in names if name in args}
    told = json.dumps({"names": names, "args": values}, allow_nan=False).encode()
    others = {name: None if name in values else value for name, value in args.items()}
    rest = json.dumps(others, allow_nan=False).encode()
    if max(len(told), len(rest)) > MAX_PAYLOAD:
        return None
    key = f"{json.dumps(names)}:{hashlib.sha256(told).hexdigest()}"
    return Named(key, function.name, told, rest)


def told_names(told: object) -> Names | None:
    """Read the names that a guest tells; None for no point, and for what cannot be names."""
    if not isinstance(told, list) or len(told) > MOST_NAMES:
        return None
    names = tuple(name for name in told if isinstance(name, str))
    sound = len(names) == len(told) and sorted(set(names)) == told
    return names if sound and len(json.dumps(names)) <= LONGEST_NAMES else None


def names_of(key: str) -> Names | None:
    """Return the names in a snapshot's key; None if it is none of ours."""
    try:
        return told_names(json.loads(key.rpartition(":")[0]))
    except (ValueError, RecursionError):
        return None


def at_point(answer: object) -> bool:
    """Whether the answer to BEGIN says that the function stands at its point."""
    if not isinstance(answer, Frame) or answer.type is not MessageType.POINT:
        return False
    try:
        return answer.json().get("reached") is True
    except ProtocolError:
        return False


def no_point(function: Function) -> SettingsError:
    """Return the error for an explicit resumed of a function that has no snapshot point."""
    return SettingsError(
        f"{function.name} has no snapshot point that could be resumed from. "
        f"Call seuss.{find_runtime(function.runtime).point} in it, or choose another path."
    )


class Points:
    """What is known of functions' points; the functions used longest ago are forgotten first."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, Names | None] = OrderedDict()

    def knows(self, function: Function) -> bool:
        """Whether it is known if the function has a point, and which."""
        return function.id in self._names or not function.mentions_point

    def names(self, function: Function) -> Names | None:
        """Return the names of the function's point; None if it has none, or it is not known."""
        return self._names.get(function.id)

    def learn(self, function: str, names: Names | None) -> None:
        """Note the names of the point of the function with this id."""
        self._names[function] = names
        self._names.move_to_end(function)
        while len(self._names) > MOST_KNOWN:
            self._names.popitem(last=False)


def _label(name: str, values: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{key}={json.dumps(value)[:LONGEST_LABEL]}" for key, value in values.items())
    text = f"{name}({shown})"
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 4] + "...)"
