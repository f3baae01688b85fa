"""What Linux guests have in common, whoever runs them: kernel, RAM disk and command line.

The first process is the caller, on the first serial port.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable

from experiments.peers import linux_kernel, rootfs
from experiments.peers.errors import PeerError
from experiments.peers.own_folder import own_folder

MEMORY_MIB = 256
"""The smallest round size that holds kernel, RAM disk and its contents."""
CALLER = "/caller.py"
KERNEL, RAMDISK = "vmlinux", "ramdisk"
"""Names of the files that `write` makes."""
_IN_MEMORY = pathlib.Path("/dev/shm")
_OPTIONS = (
    "console=none quiet loglevel=0 nokaslr mitigations=off tsc=reliable no_timer_check "
    "random.trust_cpu=on cryptomgr.notests rcupdate.rcu_expedited=1 8250.nr_uarts=1 panic=-1"
)


def folder() -> contextlib.AbstractAsyncContextManager[pathlib.Path]:
    """Return a folder for a peer's files, in memory where that can be."""
    return own_folder(_IN_MEMORY if _IN_MEMORY.is_dir() else None)


def kernel_line(name: str, *options: str, program: str = CALLER) -> str:
    """Return the kernel's command line; `options` are the machine's own, `name` the caller's."""
    first = f"rdinit={rootfs.PYTHON} -- -S -I {program} /dev/ttyS0 {name}"
    return " ".join((_OPTIONS, *options, first))


def furnish(root: pathlib.Path) -> None:
    """Put into the RAM disk what every guest needs. Raises PeerError."""
    rootfs.build(root)
    # The first process has nobody who would make its devices.
    for name, number in (("console", (5, 1)), ("ttyS0", (4, 64)), ("null", (1, 3))):
        try:
            os.mknod(root / "dev" / name, 0o20600, os.makedev(*number))
        except PermissionError as error:
            raise PeerError("A RAM disk with devices needs root. Run as root.") from error


def write(target: pathlib.Path, furnishing: Callable[[pathlib.Path], None] = furnish) -> None:
    """Write the kernel, as an ELF, and the RAM disk that `furnishing` fills. Raises PeerError."""
    linux_kernel.write_elf(target / KERNEL)
    root = target / "root"
    root.mkdir()
    furnishing(root)
    linux_kernel.write_ramdisk(root, target / RAMDISK)
