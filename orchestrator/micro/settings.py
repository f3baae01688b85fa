"""What a user can choose about workers, and the defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args

from orchestrator.errors import SettingsError
from orchestrator.settings import checked_timeout

Mechanism = Literal["escape", "unwind"]

MOST_QUANTUM_US = 1_000_000
MOST_SPIN_US, MOST_ARENA_MIB, MOST_STACK_KIB = 1_000_000_000, 65536, 1 << 20


def usual_cores() -> tuple[int, ...]:
    """The last of the cores that this process may use: the first serve everything else."""
    return (max(os.sched_getaffinity(0)),)


@dataclass(frozen=True)
class MicroSettings:
    """Settings of the workers. Raises SettingsError for a value that cannot work."""

    cores: tuple[int, ...]
    """A worker is pinned to each."""
    mechanism: Mechanism = "escape"
    quantum_us: float = 1000.0
    """Period of the preemption clock; 0 for none. The paper's 20 costs too much on many virtual
    machines (`micro-preemption` measures it), and a budget of milliseconds needs no finer one."""
    spin_us: int = 50
    """How long an idle worker looks for requests before it sleeps."""
    arena_mib: int = 64
    """Heap of one call."""
    stack_kib: int = 1024
    """Stack of one call."""
    timeout_s: float = 60.0
    """Budget of a call, in seconds."""

    def __post_init__(self) -> None:
        usable = os.sched_getaffinity(0)
        if not self.cores or not set(self.cores) <= usable:
            raise SettingsError(
                f"Workers on the cores {sorted(self.cores)} cannot be. "
                f"Choose of: {', '.join(map(str, sorted(usable)))}."
            )
        if self.mechanism not in get_args(Mechanism):
            raise SettingsError(
                f"The mechanism {self.mechanism!r} does not exist. "
                f"Choose one of: {', '.join(get_args(Mechanism))}."
            )
        if self.quantum_us != 0 and not 1 <= self.quantum_us <= MOST_QUANTUM_US:
            raise SettingsError(
                f"A quantum of {self.quantum_us} us cannot be. Give 1 to {MOST_QUANTUM_US}, or 0."
            )
        if not (
            0 <= self.spin_us <= MOST_SPIN_US
            and 1 <= self.arena_mib <= MOST_ARENA_MIB
            and 64 <= self.stack_kib <= MOST_STACK_KIB
        ):
            raise SettingsError(
                f"A worker that spins {self.spin_us} us, with {self.arena_mib} MiB of heap and "
                f"{self.stack_kib} KiB of stack, cannot be. Give 0 to {MOST_SPIN_US}, 1 to "
                f"{MOST_ARENA_MIB}, and 64 to {MOST_STACK_KIB}."
            )
        checked_timeout(self.timeout_s)
