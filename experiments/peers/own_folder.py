"""A peer's folder; what killed runs left, their frozen containers too, goes with the next one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import AsyncIterator

from experiments.locked_folder import abandoned, locked_folder
from experiments.peers.control_groups import end_processes, remove_cgroup

_PREFIX = "seuss-peers-"


@contextlib.asynccontextmanager
async def own_folder(place: pathlib.Path | None = None) -> AsyncIterator[pathlib.Path]:
    """Make a folder in `place` (the system's for temporary files), and remove it.

    Containers' control groups have its name. A run that lives holds the lock of its folder; of one
    that does not, processes, control groups and folder are removed.
    """
    place = place or pathlib.Path(tempfile.gettempdir())
    for left in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), abandoned(left) as found:
            if found.st_uid == os.getuid():
                end_processes(left.name)
                await remove_cgroup(left.name)
                shutil.rmtree(left, ignore_errors=True)
    with locked_folder(place, _PREFIX) as made:
        yield made
