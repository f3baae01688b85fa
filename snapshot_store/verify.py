"""Looking at every bit of a snapshot and of all it is built on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from snapshot_store.compatibility import check_child
from snapshot_store.durable import open_directory
from snapshot_store.errors import CorruptSnapshotError, MismatchError, StoreError
from snapshot_store.format import page_sums, parse_index, to_page_set
from snapshot_store.manifest import (
    DATA_NAMES,
    INDEX_NAME,
    MANIFEST_NAME,
    PAGES_NAME,
    STATE_NAME,
    FieldError,
)
from snapshot_store.model import Manifest
from snapshot_store.packing import unpack_state
from snapshot_store.pageset import PAGE_SIZE
from snapshot_store.reading import checked_bytes, file_digest, read_file, read_manifest

_NAMED_PAGES: Final = 8


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        snapshot: id of the snapshot it was found in.
        file: name of the file, or "" if it is about the snapshot as a whole.
        reason: what is wrong.
    """

    snapshot: str
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{'/'.join(filter(None, (self.snapshot, self.file)))}: {self.reason}"


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        id: the snapshot that was asked for.
        lineage: ids of the snapshots that were looked at, that one first.
        problems: all that is wrong with any of them.
    """

    id: str
    lineage: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_lineage(snapshots: Path, snapshot_id: str) -> VerifyReport:
    """Verify the snapshot in `snapshots / snapshot_id`, then its parent, and so on."""
    seen: list[str] = []
    problems: list[Problem] = []
    child: Manifest | None = None
    following: str | None = snapshot_id
    while following is not None:
        if following in seen:
            problems.append(Problem(snapshot_id, "", f"its lineage comes back to {following}"))
            break
        seen.append(following)
        path = snapshots / following
        if child is not None and not os.path.lexists(path):
            problems.append(Problem(child.id, "", f"its parent {following} is missing"))
            break
        manifest, found = verify_directory(path)
        problems.extend(found)
        if manifest is None:
            break
        if child is not None:
            problems.extend(_misfits(manifest, child))
        child, following = manifest, manifest.parent
    return VerifyReport(snapshot_id, tuple(seen), tuple(problems))


def verify_directory(path: Path) -> tuple[Manifest | None, list[Problem]]:
    """Verify one snapshot's own directory; the manifest is None if it cannot be trusted."""
    name = path.name
    try:
        with open_directory(path) as directory:
            with os.scandir(directory) as entries:
                present = {entry.name for entry in entries}
            wanted = {MANIFEST_NAME, *DATA_NAMES}
            problems = [Problem(name, file, "is missing") for file in sorted(wanted - present)]
            problems += [
                Problem(name, file, "does not belong here") for file in sorted(present - wanted)
            ]
            if MANIFEST_NAME not in present:
                return None, problems
            try:
                manifest = read_manifest(directory, name)
            except CorruptSnapshotError as error:
                reason = error.reason.removeprefix(f"{MANIFEST_NAME}: ")
                return None, [*problems, Problem(name, MANIFEST_NAME, reason)]
            except (StoreError, FieldError, OSError) as error:
                return None, [*problems, Problem(name, MANIFEST_NAME, str(error))]
            for file in DATA_NAMES:
                if file in present:
                    problems.extend(_file_problems(directory, file, manifest))
            return manifest, problems
    except OSError as error:
        return None, [Problem(name, "", f"its directory cannot be read ({error})")]


def _file_problems(directory: int, file: str, manifest: Manifest) -> Iterator[Problem]:
    checksum = manifest.checksums[file]
    try:
        sha, crc = file_digest(directory, file, manifest)
        if sha != checksum.sha256:
            where = _damaged_pages(directory, manifest) if file == PAGES_NAME else ""
            yield Problem(manifest.id, file, f"its SHA-256 is not what was committed{where}")
        elif crc != checksum.crc32:
            yield Problem(manifest.id, file, "the manifest gives a wrong CRC-32 for it")
        elif file == INDEX_NAME:
            parse_index(checked_bytes(directory, file, manifest), manifest)
        elif file == STATE_NAME:
            unpack_state(checked_bytes(directory, file, manifest), manifest.state_size)
        elif file == PAGES_NAME and (where := _damaged_pages(directory, manifest)):
            yield Problem(manifest.id, file, f"it does not fit the index{where}")
    except (FieldError, OSError) as error:
        reason = str(error).removeprefix(f"{file} ")
        yield Problem(manifest.id, file, reason)


def _damaged_pages(directory: int, manifest: Manifest) -> str:
    """Name the pages whose own sum is wrong, if the index can still be believed."""
    try:
        index = parse_index(checked_bytes(directory, INDEX_NAME, manifest), manifest)
    except (FieldError, OSError):
        return ""
    slots = np.frombuffer(read_file(directory, PAGES_NAME, manifest), np.uint8)
    pages = to_page_set(index, slots.reshape(-1, PAGE_SIZE))
    sums = page_sums(pages, np.arange(len(pages), dtype=np.intp))
    wrong = pages.numbers[sums != index["crc"]]
    if not len(wrong):
        return ""
    more = f" and {len(wrong) - _NAMED_PAGES} more" if len(wrong) > _NAMED_PAGES else ""
    return f" (pages {', '.join(map(str, wrong[:_NAMED_PAGES]))}{more})"


def _misfits(parent: Manifest, child: Manifest) -> Iterator[Problem]:
    try:
        check_child(parent, child)
    except MismatchError as error:
        told = "; ".join(
            f"{difference.field} is {difference.wanted}, its parent's is {difference.stored}"
            for difference in error.differences
        )
        yield Problem(child.id, MANIFEST_NAME, f"it does not fit its parent {parent.id}: {told}")
