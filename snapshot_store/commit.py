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

from snapshot_store.durable import checksum, locked, open_directory, sync_directory, write_file
from snapshot_store.errors import InvalidDraftError
from snapshot_store.format import Layout, lay_out, page_chunks
from snapshot_store.manifest import (
    DATA_NAMES,
    INDEX_NAME,
    MANIFEST_NAME,
    PAGES_NAME,
    STATE_NAME,
    FieldError,
    encode,
    identify,
    validated,
)
from snapshot_store.model import FORMAT_VERSION, Draft, Manifest
from snapshot_store.packing import pack_state
from snapshot_store.places import Places


@dataclass(frozen=True)
class Plan:
    """A snapshot worked out in memory, of which nothing is on disk yet.

    Attributes:
        draft: what it is made of; its pages must not change before it is carried out.
        layout: how its pages are to be stored.
        packed: its state, as it is to be stored.
        manifest: its manifest, sums and id included.
    """

    draft: Draft
    layout: Layout
    packed: bytes
    manifest: Manifest

    @property
    def id(self) -> str:
        """The id it will be stored under."""
        return self.manifest.id


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


def planned(draft: Draft, created: int) -> Plan:
    """Work out how a draft will be stored, after checking it. Writes nothing.

    Raises:
        InvalidDraftError: the draft breaks a rule of the format.
    """
    layout = lay_out(draft.pages)
    packed = pack_state(draft.state)
    contents = _contents(draft, layout, packed)
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
        checksums={name: checksum(chunks) for name, chunks in contents.items()},
    )
    try:
        manifest = identify(validated(manifest))
    except FieldError as error:
        raise InvalidDraftError(f"cannot commit {_name(draft)}: {error}") from None
    total = manifest.blocks[-1].end_page
    if len(draft.pages) and int(draft.pages.numbers[-1]) >= total:
        raise InvalidDraftError(
            f"cannot commit {_name(draft)}: it has page {draft.pages.numbers[-1]}, "
            f"but its blocks end at page {total}"
        )
    return Plan(draft, layout, packed, manifest)


def write_data(aside: Aside, plan: Plan) -> None:
    """Write the files beside the manifest. Raises OSError."""
    for name, chunks in _contents(plan.draft, plan.layout, plan.packed).items():
        write_file(aside.descriptor, name, chunks)


def publish(aside: Aside, manifest: Manifest, places: Places) -> None:
    """Complete the directory and rename it into place; the caller holds the store's lock.

    If there is a damaged snapshot of that id, its files are replaced one by one: the same id means
    the same bytes, so that every moment leaves it as it was or better. Raises OSError.
    """
    write_file(aside.descriptor, MANIFEST_NAME, [encode(manifest)])
    os.fsync(aside.descriptor)
    target = places.snapshots / manifest.id
    if target.is_dir():
        for name in (*DATA_NAMES, MANIFEST_NAME):
            (aside.path / name).replace(target / name)
        sync_directory(target)
    else:
        aside.path.rename(target)
        sync_directory(places.snapshots)


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


def _contents(
    draft: Draft, layout: Layout, packed: bytes
) -> dict[str, Iterable[bytes | memoryview]]:
    """The files beside the manifest, each as pieces that can be gone through once."""
    return {
        INDEX_NAME: [layout.index.tobytes()],
        PAGES_NAME: (chunk.data for chunk in page_chunks(draft.pages, layout.stored)),
        STATE_NAME: [packed],
    }


def _name(draft: Draft) -> str:
    return f"the {draft.level} snapshot {draft.label!r}"
