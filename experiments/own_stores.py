"""A folder for the snapshot stores of one run, gone afterwards even if the run is killed."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from experiments.locked_folder import abandoned, locked_folder

_PREFIX = ".stores-"


@contextlib.contextmanager
def own_stores(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make a folder in a results folder, and remove it.

    Removes first what killed runs left there and in the results folders beside it: a run that
    lives holds the lock of its own.
    """
    for left in (*folder.glob(f"{_PREFIX}*"), *folder.parent.glob(f"*/{_PREFIX}*")):
        with contextlib.suppress(OSError), abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    with locked_folder(folder, _PREFIX) as made:
        yield made
