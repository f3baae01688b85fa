"""Snapshots on disk: format, lineage, integrity. Knows nothing of the processes they come from."""

from snapshot_store.commit import Plan
from snapshot_store.compatibility import check
from snapshot_store.errors import (
    CorruptSnapshotError,
    Difference,
    HasChildrenError,
    InvalidDraftError,
    MismatchError,
    OutdatedError,
    SeussError,
    StoreError,
    StoreFullError,
    UnknownSnapshotError,
)
from snapshot_store.model import Block, Branch, Checksum, Depth, Draft, Level, Manifest
from snapshot_store.pageset import PAGE_SIZE, PageSet
from snapshot_store.places import default_root
from snapshot_store.snapshot import Snapshot
from snapshot_store.store import SnapshotStore
from snapshot_store.verify import Problem, VerifyReport

__all__ = [
    "PAGE_SIZE",
    "Block",
    "Branch",
    "Checksum",
    "CorruptSnapshotError",
    "Depth",
    "Difference",
    "Draft",
    "HasChildrenError",
    "InvalidDraftError",
    "Level",
    "Manifest",
    "MismatchError",
    "OutdatedError",
    "PageSet",
    "Plan",
    "Problem",
    "SeussError",
    "Snapshot",
    "SnapshotStore",
    "StoreError",
    "StoreFullError",
    "UnknownSnapshotError",
    "VerifyReport",
    "check",
    "default_root",
]
