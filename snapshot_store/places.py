"""Where things lie in a store, and where the store lies by default."""

import os
from pathlib import Path
from typing import Final

ROOT_VARIABLE: Final = "SEUSS_STORE"


def default_root() -> Path:
    """Return $SEUSS_STORE, else $XDG_DATA_HOME/seuss, else ~/.local/share/seuss."""
    if chosen := os.environ.get(ROOT_VARIABLE):
        return Path(chosen)
    if data_home := os.environ.get("XDG_DATA_HOME"):
        return Path(data_home) / "seuss"
    return Path.home() / ".local" / "share" / "seuss"


class Places:
    """The paths in one store; `create` makes the directories, readable by the owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.snapshots = root / "snapshots"
        self.incoming = root / "incoming"
        self.lock = root / "lock"
        self.turn = root / "turn.lock"
        self.catalogue = root / "catalogue.sqlite"

    def create(self) -> None:
        """Make what is missing. Raises OSError."""
        for directory in (self.root, self.snapshots, self.incoming):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
