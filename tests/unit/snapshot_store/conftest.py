"""A store for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshot_store import SnapshotStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SnapshotStore]:
    with SnapshotStore(tmp_path / "store") as opened:
        yield opened
