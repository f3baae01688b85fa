"""Anticipatory optimisation (AO): first-use costs, paid before the base snapshot is taken."""

from __future__ import annotations

import json
from enum import StrEnum


class Anticipation(StrEnum):
    """How much of it is done, in the steps of SEUSS's AO table."""

    NONE = "none"
    NETWORK = "network"
    """A first connection, buffers, a name that is looked up."""
    FULL = "full"
    """The same, and the interpreter: modules, and functions that go the whole path."""

    @property
    def request(self) -> bytes:
        """OPTIMISE's payload."""
        return b"{}" if self is Anticipation.FULL else json.dumps({"only": self.value}).encode()

    def facts(self) -> dict[str, str]:
        """Return what tells bases of one image apart."""
        return {"ao": self.value}
