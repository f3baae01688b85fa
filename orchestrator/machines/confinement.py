"""What a QEMU process may do: its user, capabilities and limits, set between fork and exec.

A guest that breaks out of QEMU finds a process of a user that owns nothing, that can get no
privilege back, start no other program (QEMU's own seccomp filter) and write no file.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import pathlib
import pwd
import resource
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import MachineError
from orchestrator.machines.accelerator import KVM_DEVICE
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.machines.memory_group import MemoryGroup
from orchestrator.machines.memory_group import place as memory_place
from orchestrator.machines.process import dying_with_this

logger = logging.getLogger(__name__)

USERS = range(61184, 65520)
"""User ids that systemd, too, hands out to services while they run: nobody else's, and small
enough for a container that maps 64 Ki of them."""

AROUND_RAM = 3 << 30
"""Bytes of addresses beside guest memory: TCG's code buffer takes 1 GiB, libraries and stacks half
as much (measured: 1.4 GiB in all with two cores)."""
TAKEN_AROUND_RAM = 3 << 29
"""Bytes of memory beside guest memory: TCG's code buffer, were it ever full, and half a GiB."""
PER_CORE = 160 * MIB
"""Addresses of a virtual processor's thread: its stack and malloc's arena."""
OPEN_FILES = 256
"""A machine holds about 20."""
CONNECTIONS = 1024
"""Files more for a machine with a network card, whose connections are QEMU's sockets."""
OTHER_THREADS = 16
"""Threads beside the virtual processors': main loop, RCU, migration."""

_CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP = 6, 7, 8
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 28, 38
_NO_ROOT_POWERS = 0x2F
"""User id 0 brings no capabilities, and none survive a change of user; both for good."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Confinement:
    """What holds for one process. `user` is None when it stays the caller's."""

    limits: Mapping[int, int]
    """Hard limits by RLIMIT_*."""
    user: int | None = None
    groups: tuple[int, ...] = ()
    drops_capabilities: bool = False
    claim: socket.socket | None = field(default=None, compare=False)
    """Keeps the user id from other machines for as long as it is open."""
    memory: MemoryGroup | None = field(default=None, compare=False)
    """Bounds all memory it takes; None where this process may make no control groups."""

    def entering(self) -> Callable[[], None]:
        """Return what the new process runs before it becomes QEMU (`preexec_fn`)."""
        die_with_this = dying_with_this()

        def enter() -> None:
            if self.memory is not None:
                self.memory.enter()
            if self.drops_capabilities:
                _drop_bounding_set()
                _prctl(_PR_SET_SECUREBITS, _NO_ROOT_POWERS)
            for kind, limit in self.limits.items():
                most = resource.getrlimit(kind)[1]
                least = limit if most == resource.RLIM_INFINITY else min(limit, most)
                resource.setrlimit(kind, (least, least))
            if self.user is not None:
                os.setgroups(self.groups)
                os.setresgid(self.user, self.user, self.user)
                os.setresuid(self.user, self.user, self.user)
            _prctl(_PR_SET_NO_NEW_PRIVS, 1)
            # Last: a change of user takes the request back.
            die_with_this()

        return enter

    def release(self) -> None:
        """Let other machines have the user id; call it once the process is gone."""
        if self.claim is not None:
            self.claim.close()
        if self.memory is not None:
            self.memory.remove()

    def can_read(self, facts: os.stat_result) -> bool:
        """Whether the process may open a file of these facts to read it."""
        return self.user is None or bool(facts.st_mode & stat.S_IROTH)


def confine(hardware: Hardware, region_size: int = 0) -> Confinement:
    """Return the confinement for a machine of this hardware; `release` it afterwards.

    Root's machines get a user of their own each. Without root, or without the capabilities to
    change users, they stay the caller's. Under KVM they do so, too, without any capability, when
    /dev/kvm is for its owner alone.
    """
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES + (CONNECTIONS if hardware.network else 0),
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_AS: hardware.memory
        + region_size
        + AROUND_RAM
        + PER_CORE * (hardware.cores + OTHER_THREADS),
    }
    memory = _memory_group(hardware.memory + region_size + TAKEN_AROUND_RAM)
    try:
        if not _may_change_users():
            return Confinement(limits, memory=memory)
        groups = _groups_for(KVM_DEVICE) if _needs_kvm(hardware) else ()
        if groups is None:
            return Confinement(limits, drops_capabilities=True, memory=memory)
        user, claim = _claim_user()
    except BaseException:
        if memory is not None:
            memory.remove()
        raise
    # Only a user of one machine can be held to a number of threads.
    limits[resource.RLIMIT_NPROC] = hardware.cores + OTHER_THREADS
    return Confinement(limits, user, groups, drops_capabilities=True, claim=claim, memory=memory)


def _memory_group(limit: int) -> MemoryGroup | None:
    """Return a control group that bounds a machine's memory; None, and a word, where none can be.

    Raises MachineError when groups can be made but this one cannot.
    """
    where = memory_place()
    if where.folder is None:
        _say_once(f"machines run without a limit of memory of their own: {where.obstacle}")
        return None
    try:
        return MemoryGroup(where, limit)
    except OSError as error:
        raise MachineError(
            f"The machine's control group cannot be made ({error}). Keep fewer machines, or remove "
            f"groups that nobody uses in {where.folder}."
        ) from error


@functools.cache
def _say_once(message: str) -> None:
    logger.info(message)


@functools.cache
def _may_change_users() -> bool:
    """Whether this process may give another one a user of its own, and take capabilities away."""
    status = pathlib.Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    held = int(effective.split()[1], 16)
    return all(held >> needed & 1 for needed in (_CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP))


def _needs_kvm(hardware: Hardware) -> bool:
    return hardware.accelerator.name == "kvm"


def _groups_for(device: pathlib.Path) -> tuple[int, ...] | None:
    """Return the groups with which any user can use a device; None when there are none such."""
    facts = device.stat()
    if facts.st_mode & 0o006 == 0o006:
        return ()
    return (facts.st_gid,) if facts.st_mode & 0o060 == 0o060 else None


def _claim_user() -> tuple[int, socket.socket]:
    """Return a user id that is nobody's, and what keeps it. Raises MachineError when all are taken.

    The claim is a name in the kernel's table of abstract sockets: it goes with the process that
    holds it, and needs no file.
    """
    first = int.from_bytes(os.urandom(4)) % len(USERS)
    claim = socket.socket(socket.AF_UNIX)
    for turn in range(len(USERS)):
        user = USERS[(first + turn) % len(USERS)]
        with contextlib.suppress(OSError):
            claim.bind(f"\0seuss-user-{user}")
            if not _has_name(user):
                return user, claim
            claim.close()
            claim = socket.socket(socket.AF_UNIX)
    claim.close()
    raise MachineError(
        f"All users from {USERS[0]} to {USERS[-1]} have a machine or a name. Keep fewer machines."
    )


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _drop_bounding_set() -> None:
    """Give all capabilities up for good, as many as this kernel knows."""
    capability = 0
    while _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:
        _prctl(_PR_CAPBSET_DROP, capability)
        capability += 1


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")
