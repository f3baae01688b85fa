"""A minimal root file system for containers and Linux VMs: Python and the caller, nothing more.

Copied from this machine's Debian, so no registry is asked: interpreter, standard library without
its tests and tools, shared libraries. The caller is in it as `/caller.py`.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

from experiments.peers.errors import PeerError
from experiments.peers.peer import CALLER

PYTHON = pathlib.Path("/usr/bin/python3.11")
"""Debian's own: whatever runs this project may not be movable."""
LIBRARY = pathlib.Path("/usr/lib/python3.11")
_LEFT_OUT = ("test", "tests", "idlelib", "lib2to3", "ensurepip", "config-*")
_EMPTY = ("proc", "sys", "dev", "tmp", "run", "meet")
_MAPPED = re.compile(r"(/\S+) \(0x")


def build(root: pathlib.Path) -> None:
    """Fill `root`, an empty folder. Raises PeerError where Debian's Python is missing."""
    if not PYTHON.exists() or not LIBRARY.is_dir():
        raise PeerError(f"There is no {PYTHON}. Install Debian's python3.11.")
    for name in _EMPTY:
        (root / name).mkdir(parents=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / link).mkdir(parents=True)
        (root / link).symlink_to(f"usr/{link}")
    _copy(PYTHON, root)
    shutil.copytree(
        LIBRARY,
        root / LIBRARY.relative_to("/"),
        ignore=shutil.ignore_patterns(*_LEFT_OUT),
        symlinks=True,
    )
    for library in sorted(_libraries([PYTHON, *LIBRARY.glob("lib-dynload/*.so")])):
        _copy(library, root)
    shutil.copy2(CALLER, root / "caller.py")


def _libraries(programs: list[pathlib.Path]) -> set[pathlib.Path]:
    listed = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    ).stdout
    return {pathlib.Path(found) for found in _MAPPED.findall(listed)}


def _copy(path: pathlib.Path, root: pathlib.Path) -> None:
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(path, target)
