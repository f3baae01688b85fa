"""Writing that survives a crash: files and directories that are on disk when a call returns."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from snapshot_store.errors import StoreError, StoreFullError
from snapshot_store.model import Checksum

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock file at `path`, shared or alone, against other threads and processes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Hold the lock file at `path` alone if nobody else does; yields whether it is held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Open a directory itself, never one that a symbolic link leads to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def checksum(chunks: Iterable[bytes | memoryview]) -> Checksum:
    """Return size and sums of a file with this content."""
    size, crc, sha = 0, 0, sha256()
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        sha.update(view)
        crc = crc32(view, crc)
        size += len(view)
    return Checksum(size, sha.hexdigest(), crc)


def write_file(directory: int, name: str, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a new file in an open directory and see it to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(name, flags, 0o400, dir_fd=directory)
    try:
        for chunk in chunks:
            view = memoryview(chunk).cast("B")
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """See a directory's entries to the disk."""
    with open_directory(path) as descriptor:
        os.fsync(descriptor)


def remove_path(path: Path) -> None:
    """Remove a file, a link or a whole directory; what is gone already is no error."""
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


@contextmanager
def reported(root: Path, doing: str) -> Iterator[None]:
    """Turn an operating system's error into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFullError(
                f"cannot {doing}: the store {root} has no room left ({error.strerror}). "
                "Delete snapshots with `seuss snapshots delete`, or set SEUSS_STORE to "
                "a directory on a larger disk"
            ) from error
        raise StoreError(
            f"cannot {doing} in the store {root}: {error}. "
            "Check the directory's owner and mode, or set SEUSS_STORE to another"
        ) from error
