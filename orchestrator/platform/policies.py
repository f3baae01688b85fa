"""What a platform grants its functions; each policy has a default that suits a small machine."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field

from orchestrator.errors import SettingsError
from orchestrator.settings import Isolation

MIB = 1 << 20


def default_machines() -> int:
    """Return how many machines may run invocations at once: two a processor of the host."""
    return 2 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Policies:
    """Bounds of a platform. Raises SettingsError for one that cannot work."""

    contexts: int = 64
    """Invocations that run at once with isolation uc; further ones wait."""
    machines: int = field(default_factory=default_machines)
    """The same with isolation vm, where each has a machine of its own."""
    queue: int = 512
    """Invocations that may wait, for each isolation; further ones are refused."""
    snapshot_budget: int = 4096 * MIB
    """Bytes of snapshots on disk; beyond that the least useful go."""

    def __post_init__(self) -> None:
        for name in ("contexts", "machines"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{getattr(self, name)} {name} cannot serve. Give at least 1.")
        if self.queue < 0:
            raise SettingsError(f"A queue of {self.queue} cannot be. Give 0 (none) or more.")
        if self.snapshot_budget < 0:
            raise SettingsError(
                f"A budget of {self.snapshot_budget} bytes cannot be. Give 0 (keep bases only) or "
                "more."
            )

    def to_json(self) -> dict[str, int]:
        """Return the policies as a JSON object."""
        return asdict(self)

    @property
    def admitted(self) -> int:
        """How many invocations can run and wait at once, of all isolations."""
        return self.contexts + self.machines + 2 * self.queue

    def concurrency(self, isolation: Isolation) -> int:
        """Return how many invocations of an isolation may run at once."""
        return self.machines if isolation == "vm" else self.contexts
