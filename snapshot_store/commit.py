"""The steps of a commit: written aside, seen to the disk, then renamed into place.

A directory in `incoming/` belongs to the process that holds its flock. What nobody holds was left
by a dead writer (or is a deleted snapshot on its way out) and may be removed by anyone.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snapshot_store.durable import locked, open_directory, sync_directory, write_file
from snapshot_store.errors import InvalidDraftError
from snapshot_store.format import Layout, page_chunks
from snapshot_store.manifest import (
    DATA_NAMES,
    INDEX_NAME,
    INDEX_RECORD_SIZE,
    MANIFEST_NAME,
    PAGES_NAME,
    STATE_NAME,
    FieldError,
    encode,
    identify,
    validated,
)
from snapshot_store.model import FORMAT_VERSION, Checksum, Draft, Manifest
from snapshot_store.pageset import PAGE_SIZE
from snapshot_store.places import Places


@dataclass(frozen=True)
class Aside:
    """A directory in `incoming/` that this process holds."""

    path: Path
    descriptor: int


@contextmanager
def written_aside(places: Places) -> Iterator[Aside]:
    """Make a directory to write in; it is gone afterwards unless it was renamed."""
    path = places.incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
    descriptor = -1
    try:
        # Under the lock: no collector may see the directory before its flock is held.
        with locked(places.lock, exclusive=False):
            path.mkdir(mode=0o700)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Aside(path, descriptor)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if descriptor >= 0:
            os.close(descriptor)


def planned(draft: Draft, layout: Layout, created: int) -> Manifest:
    """Return the manifest of a draft, with sums still to come, after checking it.

    Raises:
        InvalidDraftError: the draft breaks a rule of the format.
    """
    sizes = {
        INDEX_NAME: len(layout.index) * INDEX_RECORD_SIZE,
        PAGES_NAME: len(layout.stored) * PAGE_SIZE,
        STATE_NAME: len(draft.state),
    }
    manifest = Manifest(
        id="0" * 16,
        format_version=FORMAT_VERSION,
        depth=draft.depth,
        level=draft.level,
        parent=draft.parent,
        image=draft.image,
        runtime=draft.runtime,
        function=draft.function,
        key=draft.key,
        label=draft.label,
        ao=draft.ao,
        created=created,
        blocks=tuple(draft.blocks),
        facts=dict(draft.facts),
        page_count=len(layout.index),
        stored_pages=len(layout.stored),
        state_size=len(draft.state),
        checksums={name: Checksum(sizes[name], "0" * 64, 0) for name in DATA_NAMES},
    )
    try:
        manifest = validated(manifest)
    except FieldError as error:
        raise InvalidDraftError(f"cannot commit {_name(draft)}: {error}") from None
    total = manifest.blocks[-1].end_page
    if len(draft.pages) and int(draft.pages.numbers[-1]) >= total:
        raise InvalidDraftError(
            f"cannot commit {_name(draft)}: it has page {draft.pages.numbers[-1]}, "
            f"but its blocks end at page {total}"
        )
    return manifest


def write_data(aside: Aside, draft: Draft, layout: Layout) -> dict[str, Checksum]:
    """Write the files beside the manifest. Raises OSError."""
    contents: dict[str, Iterable[bytes | memoryview]] = {
        INDEX_NAME: [layout.index.tobytes()],
        PAGES_NAME: (chunk.data for chunk in page_chunks(draft.pages, layout.stored)),
        STATE_NAME: [draft.state],
    }
    return {name: write_file(aside.descriptor, name, contents[name]) for name in DATA_NAMES}


def publish(aside: Aside, manifest: Manifest, places: Places) -> Manifest:
    """Complete the directory and rename it into place; the caller holds the store's lock.

    If there is a damaged snapshot of that id, its files are replaced one by one: the same id means
    the same bytes, so that every moment leaves it as it was or better. Raises OSError.
    """
    complete = identify(manifest)
    write_file(aside.descriptor, MANIFEST_NAME, [encode(complete)])
    os.fsync(aside.descriptor)
    target = places.snapshots / complete.id
    if target.is_dir():
        for name in (*DATA_NAMES, MANIFEST_NAME):
            (aside.path / name).replace(target / name)
        sync_directory(target)
    else:
        aside.path.rename(target)
        sync_directory(places.snapshots)
    return complete


def set_aside(path: Path, places: Places) -> Path:
    """Take a snapshot's directory out of the store in one step; return where it went."""
    away = places.incoming / f"deleted-{path.name}-{secrets.token_hex(8)}"
    return path.rename(away)


def remove_abandoned(places: Places) -> list[Path]:
    """Remove what dead writers left in `incoming/`; the caller holds the store's lock alone."""
    removed = []
    for path in sorted(places.incoming.iterdir()):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            with open_directory(path) as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(path)
        removed.append(path)
    return removed


def _name(draft: Draft) -> str:
    return f"the {draft.level} snapshot {draft.label!r}"
