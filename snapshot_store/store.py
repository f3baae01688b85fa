"""The store: every operation on snapshots, for several threads and processes at once."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from snapshot_store.catalogue import Catalogue
from snapshot_store.commit import (
    Aside,
    Plan,
    planned,
    publish,
    remove_abandoned,
    set_aside,
    write_data,
    written_aside,
)
from snapshot_store.compatibility import check, check_child
from snapshot_store.durable import (
    locked,
    open_directory,
    remove_path,
    reported,
    sync_directory,
    tried,
)
from snapshot_store.errors import (
    CorruptSnapshotError,
    HasChildrenError,
    OutdatedError,
    StoreError,
    UnknownSnapshotError,
)
from snapshot_store.manifest import FieldError, content_digest, is_id
from snapshot_store.model import Branch, Depth, Draft, Level, Manifest
from snapshot_store.places import Places, default_root
from snapshot_store.reading import read_manifest
from snapshot_store.snapshot import Snapshot, checked_id, unknown
from snapshot_store.verify import VerifyReport, verify_lineage

# Named out here, because inside the class `list` is a method.
Manifests = list[Manifest]
Snapshots = list[Snapshot]
Paths = list[Path]
Ids = list[str]


MTIME_GRAIN_NS = 1_000_000_000
"""A change that follows another so soon need not show in a directory's time."""


@dataclass(frozen=True)
class _Look:
    """What the directory of snapshots held: its time of change, when it was read, the ids."""

    changed: int
    began: int
    present: set[str]

    def holds(self, changed: int) -> bool:
        """Whether it is as it was, to judge by the directory's time of change now."""
        return self.changed == changed and self.began - changed > MTIME_GRAIN_NS


class SnapshotStore:
    """Snapshots on disk. A context manager; may be shared by threads.

    Opening a store creates it where there is none and removes what dead writers left.

    Args:
        root: its directory; by default $SEUSS_STORE or the user's data directory.

    Raises:
        StoreError: the directory cannot be made or written.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._places = Places(default_root() if root is None else root)
        self._damaged: dict[str, Exception] = {}
        """By id why a manifest cannot be read; OutdatedError where it is only old."""
        self._look: _Look | None = None
        with reported(self.root, "open snapshots"):
            self._places.create()
            self._catalogue = Catalogue(self._places.catalogue, self._readable_manifests)
        self.collect()

    @property
    def root(self) -> Path:
        """The store's directory."""
        return self._places.root

    def close(self) -> None:
        """Let go of the catalogue. Snapshots that are open stay readable."""
        self._catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def commit(self, draft: Draft) -> Snapshot:
        """Store a snapshot, all of it or nothing; it is on disk when this returns.

        A draft whose content is stored already gives the existing snapshot. If that one is
        damaged, it is replaced under the same id, so that its children are whole again.

        Raises:
            InvalidDraftError: the draft breaks a rule of the format.
            UnknownSnapshotError: the parent is not in the store.
            MismatchError: the draft does not fit its parent.
            StoreFullError: there is no room; nothing is kept.
        """
        return self.carry_out(self.plan(draft))

    def plan(self, draft: Draft) -> Plan:
        """Work out the snapshot that `commit` would store, and its id, without waiting for a disk.

        Raises:
            InvalidDraftError, UnknownSnapshotError, MismatchError: as `commit`.
        """
        self._check_parent(draft)
        plan = planned(draft, int(time.time()))
        return replace(plan, manifest=self._as_its_twin(plan.manifest))

    def carry_out(self, plan: Plan) -> Snapshot:
        """Store what was planned; it is on disk when this returns.

        The id is the plan's, unless the very same content was committed after the plan was made:
        then it is that snapshot's.

        Raises:
            UnknownSnapshotError, MismatchError, StoreFullError: as `commit`.
        """
        with reported(self.root, "commit a snapshot"), written_aside(self._places) as aside:
            write_data(aside, plan)
            with self._alone():
                self._check_parent(plan.draft)
                return self._publish(aside, self._as_its_twin(plan.manifest))

    @contextmanager
    def base_turn(self) -> Iterator[bool]:
        """Be the only one of all processes who takes a base; yields whether it is your turn.

        A turn ends with its process, however that ends.
        """
        with ExitStack() as held:
            with reported(self.root, "wait to take a base snapshot"):
                mine = held.enter_context(tried(self._places.turn))
            yield mine

    def open(self, snapshot_id: str, *, verify: bool = False) -> Snapshot:
        """Open a snapshot for reading.

        Manifest, index and state are always checked; with `verify` the bytes of the pages too.

        Raises:
            UnknownSnapshotError: there is none of that id.
            CorruptSnapshotError: it is not what was committed.
            MismatchError: it is of another format version.
        """
        snapshot = Snapshot(self._places.snapshots / checked_id(snapshot_id), self.open)
        if verify:
            snapshot.check()
        return snapshot

    def find(
        self,
        *,
        level: Level | None = None,
        depth: Depth | None = None,
        image: str | None = None,
        runtime: str | None = None,
        function: str | None = None,
        key: str | None = None,
        parent: str | None = None,
        ao: bool | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Manifests:
        """Return the snapshots of which all given fields hold, newest first.

        Fields that are None may be anything; of `facts`, those that are given must be equal.
        """
        given = {
            "level": level,
            "depth": depth,
            "image": image,
            "runtime": runtime,
            "function": function,
            "key": key,
            "parent": parent,
            "ao": ao,
        }
        equal = {name: value for name, value in given.items() if value is not None}
        wanted = (facts or {}).items()
        return [
            manifest
            for manifest in reversed(self._select(equal))
            if wanted <= manifest.facts.items()
        ]

    def list(self) -> Manifests:
        """Return all snapshots, oldest first; damaged ones are in `damaged`."""
        return self._select({})

    def damaged(self) -> dict[str, str]:
        """Return the ids of directories whose manifest cannot be read, each with the reason."""
        self._reconcile()
        return {snapshot_id: str(error) for snapshot_id, error in self._damaged.items()}

    def outdated(self) -> tuple[str, ...]:
        """Return the ids of the damaged ones that are of an earlier format, and not damaged."""
        self._reconcile()
        reasons = self._damaged.items()
        return tuple(sorted(each for each, why in reasons if isinstance(why, OutdatedError)))

    def children(self, snapshot_id: str) -> Manifests:
        """Return the snapshots that are direct deltas of this one, oldest first.

        Raises:
            UnknownSnapshotError: there is none of that id.
        """
        self._path(snapshot_id)
        return self._select({"parent": snapshot_id})

    def lineage(self, snapshot_id: str) -> Snapshots:
        """Open a snapshot and all it is built on, base first.

        Raises:
            UnknownSnapshotError, CorruptSnapshotError, MismatchError
        """
        return self.open(snapshot_id).lineage()

    def tree(self) -> tuple[Branch, ...]:
        """Return all snapshots as trees; one whose parent is missing is a root."""
        manifests = self.list()
        present = {manifest.id for manifest in manifests}
        below: dict[str | None, Manifests] = {}
        for manifest in manifests:
            parent = manifest.parent if manifest.parent in present else None
            below.setdefault(parent, []).append(manifest)

        def grow(parent: str | None) -> tuple[Branch, ...]:
            return tuple(Branch(manifest, grow(manifest.id)) for manifest in below.get(parent, ()))

        return grow(None)

    def delete(self, snapshot_id: str, recursive: bool = False) -> tuple[str, ...]:
        """Delete a snapshot, also a damaged one; with `recursive`, what is built on it first.

        Returns:
            The ids that were deleted, in that order.

        Raises:
            UnknownSnapshotError: there is none of that id.
            HasChildrenError: others are built on it; nothing was deleted.
        """
        with reported(self.root, f"delete {snapshot_id}"), self._alone():
            self._path(snapshot_id)
            doomed = self._descendants(snapshot_id)
            if len(doomed) > 1 and not recursive:
                children = [manifest.id for manifest in self._select({"parent": snapshot_id})]
                raise HasChildrenError(snapshot_id, children)
            for each in doomed:
                away = set_aside(self._places.snapshots / each, self._places)
                sync_directory(self._places.snapshots)
                remove_path(away)
            self._catalogue.remove(doomed)
        return tuple(doomed)

    def prune(self, images: Collection[str], *, look_only: bool = False) -> Manifests:
        """Delete all snapshots of other images than these; none of these can restore them.

        Those of earlier formats (`outdated`) go as well.

        Args:
            images: SHA-256 of the images to keep the snapshots of.
            look_only: delete nothing.

        Returns:
            What was deleted, or would be, oldest first, but for the outdated.
        """
        doomed = [manifest for manifest in self.list() if manifest.image not in images]
        for snapshot_id in () if look_only else self.outdated():
            with suppress(UnknownSnapshotError):
                self.delete(snapshot_id, recursive=True)
        for manifest in () if look_only else doomed:
            # Gone already: it was built on one before, or somebody else deletes it too.
            with suppress(UnknownSnapshotError):
                self.delete(manifest.id, recursive=True)
        return doomed

    def verify(self, snapshot_id: str) -> VerifyReport:
        """Look at every bit of a snapshot and of all it is built on.

        Raises:
            UnknownSnapshotError: there is none of that id.
        """
        self._path(snapshot_id)
        return verify_lineage(self._places.snapshots, snapshot_id)

    def check(
        self,
        manifest: Manifest,
        *,
        image: str | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Make sure that a snapshot can be restored with this image on this machine.

        Raises:
            MismatchError: names every field that differs, with both values.
        """
        check(manifest, image=image, facts=facts)

    def rebuild_catalogue(self) -> None:
        """Make the catalogue anew from the snapshots' directories."""
        with reported(self.root, "rebuild the catalogue"), self._alone():
            self._damaged.clear()
            self._look = None
            self._catalogue.rebuild()

    def collect(self) -> Paths:
        """Remove commits and deletions that their process did not live to finish.

        Returns:
            The directories that were removed.
        """
        with reported(self.root, "remove unfinished commits"):
            if not any(self._places.incoming.iterdir()):
                return []
            with self._alone():
                return remove_abandoned(self._places)

    def _publish(self, aside: Aside, manifest: Manifest) -> Snapshot:
        with suppress(UnknownSnapshotError, CorruptSnapshotError):
            return self.open(manifest.id, verify=True)
        publish(aside, manifest, self._places)
        self._damaged.pop(manifest.id, None)
        self._catalogue.add([manifest])
        return self.open(manifest.id)

    def _as_its_twin(self, manifest: Manifest) -> Manifest:
        """The manifest of the oldest snapshot with the same content, or the one given."""
        twins = self._select({"content": content_digest(manifest)})
        return twins[0] if twins else manifest

    def _check_parent(self, draft: Draft) -> None:
        if draft.parent is not None:
            check_child(self.open(draft.parent).manifest, draft)

    def _descendants(self, snapshot_id: str) -> Ids:
        """The snapshot and all that is built on it, children before parents."""
        below: dict[str | None, Ids] = {}
        for manifest in self.list():
            below.setdefault(manifest.parent, []).append(manifest.id)
        found = [snapshot_id]
        for each in found:
            found.extend(below.get(each, ()))
        return found[::-1]

    def _select(self, equal: Mapping[str, str | int]) -> Manifests:
        present = self._reconcile()
        return [manifest for manifest in self._catalogue.select(equal) if manifest.id in present]

    def _reconcile(self) -> set[str]:
        """Bring the catalogue in line with the directories; return the ids of these.

        Where no directory came or went since the last time, that one's answer still holds.
        """
        with reported(self.root, "list snapshots"):
            changed = self._places.snapshots.stat().st_mtime_ns
        look = self._look
        if look is not None and look.holds(changed):
            return look.present
        began = time.time_ns()
        # Rows first: a commit that ends between the two looks is then read twice, not dropped.
        rows = self._catalogue.ids()
        present = self._present()
        for gone in self._damaged.keys() - present:
            self._damaged.pop(gone, None)
        if missing := present - rows - self._damaged.keys():
            self._catalogue.add(self._read_manifests(missing))
        if stale := rows - present:
            self._catalogue.remove(stale)
        self._look = _Look(changed, began, present)
        return present

    def _present(self) -> set[str]:
        with reported(self.root, "list snapshots"):
            return {path.name for path in self._places.snapshots.iterdir() if is_id(path.name)}

    def _readable_manifests(self) -> Manifests:
        return self._read_manifests(self._present())

    def _read_manifests(self, ids: set[str]) -> Manifests:
        manifests = []
        for snapshot_id in sorted(ids):
            try:
                with open_directory(self._places.snapshots / snapshot_id) as directory:
                    manifests.append(read_manifest(directory, snapshot_id))
            except (StoreError, FieldError, OSError) as error:
                # Without what it was raised in: errors are kept for long.
                self._damaged[snapshot_id] = error.with_traceback(None)
        return manifests

    def _path(self, snapshot_id: str) -> Path:
        path = self._places.snapshots / checked_id(snapshot_id)
        if not os.path.lexists(path):
            raise unknown(path)
        return path

    def _alone(self) -> AbstractContextManager[None]:
        return locked(self._places.lock, exclusive=True)
