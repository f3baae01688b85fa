"""The folder for what runs now: nodes' sockets and locks, and the host's shared regions."""

from __future__ import annotations

import os
import pathlib
import stat
import tempfile

from orchestrator.errors import NodeError


def runtime_folder() -> pathlib.Path:
    """Return the folder of this user's nodes, made if need be: $SEUSS_RUNTIME, or seuss in
    $XDG_RUNTIME_DIR, or seuss-UID in the temporary folder.

    Raises NodeError when others could reach into it.
    """
    own = os.environ.get("SEUSS_RUNTIME")
    shared = os.environ.get("XDG_RUNTIME_DIR")
    if own:
        folder = pathlib.Path(own)
    elif shared:
        folder = pathlib.Path(shared) / "seuss"
    else:
        folder = pathlib.Path(tempfile.gettempdir()) / f"seuss-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise NodeError(
            f"The folder for nodes {folder} cannot be made ({error.strerror}). "
            "Name another in SEUSS_RUNTIME."
        ) from error
    private = stat.S_ISDIR(facts.st_mode) and not facts.st_mode & 0o077
    if not private or facts.st_uid != os.getuid():
        raise NodeError(
            f"The folder for nodes {folder} is not this user's alone. Remove it, or name another "
            "in SEUSS_RUNTIME."
        )
    return folder
