"""Folders of one run: gone afterwards, and if the run is killed, the next one can tell."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def locked_folder(place: pathlib.Path, prefix: str) -> Iterator[pathlib.Path]:
    """Make a folder in `place` whose name begins with `prefix`, hold its lock, and remove it."""
    # It gets its name once it is locked: no other run must take it for one that was left.
    made = pathlib.Path(tempfile.mkdtemp(prefix=f".new{prefix}", dir=place))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = made.rename(made.with_name(made.name.removeprefix(".new")))
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def abandoned(path: pathlib.Path) -> Iterator[os.stat_result]:
    """Hold a folder that a killed run left, as long as the block lasts; yields whose it is.

    Raises OSError if a run that lives has it, or it cannot be opened, as those of other users.
    """
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(lock)
    finally:
        os.close(lock)
