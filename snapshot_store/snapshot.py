"""A stored snapshot that is open for reading."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np

from snapshot_store.durable import open_directory
from snapshot_store.errors import CorruptSnapshotError, UnknownSnapshotError
from snapshot_store.format import Index, parse_index, to_page_set
from snapshot_store.manifest import INDEX_NAME, PAGES_NAME, STATE_NAME, FieldError, is_id
from snapshot_store.model import Manifest
from snapshot_store.packing import unpack_state
from snapshot_store.pageset import PAGE_SIZE, Bytes, PageSet
from snapshot_store.reading import checked_bytes, read_manifest, sized_file

Opener = Callable[[str], "Snapshot"]


class Snapshot:
    """One snapshot, read from its directory when it is opened.

    The manifest, the index and the state have been checked by then (each against its sums), and
    pages.bin by its size. Its bytes are memory-mapped: `check` looks at them too. What was opened
    stays readable when the snapshot is deleted.

    Attributes:
        manifest: what the snapshot is.
        path: its directory.
    """

    def __init__(self, path: Path, opener: Opener) -> None:
        """Open the snapshot in `path`, whose last part is its id; `opener` opens parents.

        Raises:
            UnknownSnapshotError: there is none.
            CorruptSnapshotError: it is not what was committed.
            MismatchError: it is of another format version.
        """
        self.path = path
        self._opener = opener
        try:
            with open_directory(path) as directory:
                self.manifest = read_manifest(directory, path.name)
                self._slots = _map_slots(directory, self.manifest)
                self._index = _checked_index(directory, self.manifest)
                self._state = _checked_state(directory, self.manifest)
        except FieldError as error:
            raise CorruptSnapshotError(path.name, str(error)) from None
        except FileNotFoundError as error:
            # A directory without a file is damage, unless it is being deleted right now.
            if not os.path.lexists(path):
                raise unknown(path) from None
            raise CorruptSnapshotError(path.name, f"{error.filename} is missing") from None
        except OSError as error:
            raise CorruptSnapshotError(path.name, f"it cannot be read ({error})") from None

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id

    def __repr__(self) -> str:
        return f"Snapshot({self.id}, {self.manifest.level}, {self.manifest.page_count} pages)"

    def state(self) -> bytes:
        """The opaque state blob."""
        return self._state

    def pages(self) -> PageSet:
        """The snapshot's own pages: all that differs from its parent."""
        return to_page_set(self._index, self._slots)

    def lineage(self) -> "list[Snapshot]":
        """The snapshots this one is built on, base first, itself last.

        Raises:
            CorruptSnapshotError: a parent is missing, or the parents go round in a circle.
        """
        chain = [self]
        seen = {self.id}
        while (parent := chain[-1].manifest.parent) is not None:
            if parent in seen:
                raise CorruptSnapshotError(self.id, f"its lineage comes back to {parent}")
            seen.add(parent)
            try:
                chain.append(self._opener(parent))
            except UnknownSnapshotError:
                reason = f"{parent}, the parent of {chain[-1].id}, is missing"
                raise CorruptSnapshotError(self.id, reason) from None
        return chain[::-1]

    def merged_pages(self, *, above: str | None = None, verify: bool = False) -> PageSet:
        """All pages of the lineage, each in its newest form.

        Args:
            above: id of an ancestor; it and what it is built on are left out, for a memory that
                holds them already.
            verify: check the page bytes of every snapshot that takes part.

        Raises:
            CorruptSnapshotError: a parent is missing or damaged.
            UnknownSnapshotError: `above` is not in the lineage.
        """
        chain = self.lineage()
        if above is not None:
            ids = [snapshot.id for snapshot in chain]
            if above not in ids:
                raise UnknownSnapshotError(
                    above, f"snapshot {above} is not in the lineage {' -> '.join(ids)}"
                )
            chain = chain[ids.index(above) + 1 :]
        if verify:
            for snapshot in chain:
                snapshot.check()
        return PageSet.merged([snapshot.pages() for snapshot in chain])

    def check(self) -> None:
        """Look at every byte of pages.bin, by CRC-32: a quarter of the time that SHA-256 takes.

        Raises:
            CorruptSnapshotError: a byte is not what was committed.
        """
        if crc32(self._slots.data) != self.manifest.checksums[PAGES_NAME].crc32:
            raise CorruptSnapshotError(self.id, f"{PAGES_NAME} is not what was committed")


def unknown(path: Path) -> UnknownSnapshotError:
    """Make the error for a snapshot that is not there."""
    return UnknownSnapshotError(
        path.name,
        f"there is no snapshot {path.name} in {path.parent}. "
        "`seuss snapshots list` shows those there are",
    )


def checked_id(text: str) -> str:
    """Return an id that is safe in a path.

    Raises:
        UnknownSnapshotError: `text` is no id, so no snapshot has it.
    """
    if not is_id(text):
        shown = repr(text)[:80]
        raise UnknownSnapshotError(
            text, f"{shown} is no snapshot id (16 hex digits). See `seuss snapshots list`"
        )
    return text


def _map_slots(directory: int, manifest: Manifest) -> Bytes:
    descriptor = sized_file(directory, PAGES_NAME, manifest)
    try:
        if not manifest.stored_pages:
            return np.empty((0, PAGE_SIZE), np.uint8)
        mapped = mmap.mmap(descriptor, manifest.stored_pages * PAGE_SIZE, prot=mmap.PROT_READ)
        return np.frombuffer(mapped, np.uint8).reshape(-1, PAGE_SIZE)
    finally:
        os.close(descriptor)


def _checked_state(directory: int, manifest: Manifest) -> bytes:
    return unpack_state(checked_bytes(directory, STATE_NAME, manifest), manifest.state_size)


def _checked_index(directory: int, manifest: Manifest) -> Index:
    return parse_index(checked_bytes(directory, INDEX_NAME, manifest), manifest)
