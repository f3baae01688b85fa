"""What a user can choose about the orchestrator, and the defaults."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field, replace
from typing import Literal, Self, get_args

from orchestrator.anticipation import Anticipation
from orchestrator.errors import SettingsError
from orchestrator.runtimes import DEFAULT_RUNTIME, default_image, find_runtime
from snapshot_store import default_root

Accelerator = Literal["auto", "kvm", "tcg"]
Machine = Literal["microvm", "q35"]
Isolation = Literal["vm", "uc", "language"]

Backend = Literal["process", "libvirt"]

MAX_CORES = 16
"""As many as the image starts."""

MIN_MEMORY_MIB = 64

DEFAULT_MEMORY_MIB: dict[Isolation, int] = {"vm": 128, "uc": 512, "language": 64}
"""Memory when none is asked for: a node holds many contexts."""

MAX_TIMEOUT_S = 24 * 3600
"""The wire format carries a limit in 32 bits of milliseconds; a day is far below that."""


@dataclass(frozen=True)
class Settings:
    """The orchestrator's settings. Raises SettingsError for a value that cannot work."""

    image: pathlib.Path = field(default_factory=default_image)
    store: pathlib.Path = field(default_factory=default_root)
    accelerator: Accelerator = "auto"
    machine: Machine = "microvm"
    isolation: Isolation = "vm"
    """What separates invocations: a machine each, a unikernel context each in one machine, or
    the language's compiler (then `image`, `store`, `machine` and `ao` have no meaning)."""
    machine_backend: Backend = "process"
    """Who starts QEMU: this process, or the libvirt of LIBVIRT_DEFAULT_URI (isolation vm)."""
    memory_mib: int = 128
    cores: int = 1
    """Processors of a machine; a node of contexts uses all, a machine per invocation one."""
    pool_size: int = 2
    ao: Anticipation = Anticipation.FULL
    """Anticipatory optimisation before the base snapshot is taken."""
    argument_snapshots: int = 8
    """Snapshots at its snapshot point that are kept of one function, in memory and in the store;
    0 takes none."""
    restored_ahead: int = 2
    """Machines that stand restored at the snapshot points used last (isolation vm); at most
    `pool_size`, so that without a pool nothing is made ahead."""
    network: bool = False
    """Whether machines have a network card; functions with places to reach need one."""
    timeout_s: float = 60.0
    """How long one invocation may run, in seconds."""
    hot_per_function: int = 8
    """Idle contexts kept of one function (isolation uc)."""
    hot_total: int = 512
    """Idle contexts kept in all."""
    hot_idle_s: float = 600.0
    """Seconds after which an unused idle context is ended."""
    memory_queue: int = 512
    """Calls that may wait until a node's memory has room for them (isolation uc)."""
    memory_wait_s: float = 30.0
    """Seconds after which such a call is refused."""
    runtime: str = DEFAULT_RUNTIME
    """What the image carries."""

    def __post_init__(self) -> None:
        if self.accelerator not in get_args(Accelerator):
            raise SettingsError(_choice("accelerator", self.accelerator, get_args(Accelerator)))
        if self.machine not in get_args(Machine):
            raise SettingsError(_choice("machine", self.machine, get_args(Machine)))
        if self.isolation not in get_args(Isolation):
            raise SettingsError(_choice("isolation", self.isolation, get_args(Isolation)))
        if self.machine_backend not in get_args(Backend):
            raise SettingsError(_choice("machine backend", self.machine_backend, get_args(Backend)))
        if self.machine_backend == "libvirt" and self.isolation != "vm":
            raise SettingsError(
                f"libvirt's machines cannot serve the isolation {self.isolation}: libvirt gives "
                "QEMU a memory of its own (memory-backend), beside which QEMU allows no second "
                "one, and the region that nodes share is one. Use --isolation vm or "
                "--machine-backend process."
            )
        if self.memory_mib < MIN_MEMORY_MIB:
            raise SettingsError(
                f"{self.memory_mib} MiB of memory are too little for the image. "
                f"Give at least {MIN_MEMORY_MIB}."
            )
        if not 1 <= self.cores <= MAX_CORES:
            raise SettingsError(
                f"A machine of {self.cores} cores cannot be. Give 1 to {MAX_CORES}."
            )
        if self.pool_size < 0:
            raise SettingsError(
                f"A pool of {self.pool_size} machines cannot be. Give 0 (no pool) or more."
            )
        for name in (
            "hot_per_function",
            "hot_total",
            "hot_idle_s",
            "argument_snapshots",
            "restored_ahead",
        ):
            if not getattr(self, name) >= 0:
                raise SettingsError(
                    f"{name} of {getattr(self, name)} cannot be. Give 0 (keep none) or more."
                )
        if self.memory_queue < 1:
            raise SettingsError(
                f"A queue of {self.memory_queue} calls for a node's memory cannot be. "
                "Give at least 1: idle contexts are ended for a call that waits."
            )
        if not 0 < self.memory_wait_s <= MAX_TIMEOUT_S:
            raise SettingsError(
                f"Calls cannot wait {self.memory_wait_s} s for a node's memory. "
                f"Give more than 0 and at most {MAX_TIMEOUT_S} s."
            )
        checked_timeout(self.timeout_s)
        find_runtime(self.runtime)

    def for_runtime(self, runtime: str) -> Self:
        """Return these settings for another runtime, with its image unless one was chosen."""
        chosen = self.image != default_image(self.runtime)
        return replace(
            self, runtime=runtime, image=self.image if chosen else default_image(runtime)
        )


def checked_timeout(timeout_s: float) -> float:
    """Return a limit in seconds that the wire format can carry; SettingsError for any other."""
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise SettingsError(
            f"A timeout of {timeout_s} s cannot be. Give more than 0 and at most {MAX_TIMEOUT_S} s."
        )
    return timeout_s


def _choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    return f"The {name} {value!r} does not exist. Choose one of: {', '.join(choices)}."
