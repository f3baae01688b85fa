"""A folder for the snapshot stores of one run, gone afterwards even if the run is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_PREFIX = ".stores-"
_NEW = ".new-stores-"


@contextlib.contextmanager
def own_stores(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make a folder in a results folder, and remove it.

    Removes first what killed runs left there and in the results folders beside it: a run that
    lives holds the lock of its own.
    """
    for left in (*folder.glob(f"{_PREFIX}*"), *folder.parent.glob(f"*/{_PREFIX}*")):
        _remove_if_left(left)
    # It gets its name once it is locked: no other run must take it for one that was left.
    made = pathlib.Path(tempfile.mkdtemp(prefix=_NEW, dir=folder))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = made.rename(made.with_name(made.name.replace(_NEW, _PREFIX, 1)))
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _remove_if_left(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
