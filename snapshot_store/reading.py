"""Reading the files of a snapshot's directory without trusting any of them."""

import os
import stat
from hashlib import sha256
from zlib import crc32

from snapshot_store.manifest import MANIFEST_NAME, MAX_MANIFEST_SIZE, FieldError, parse
from snapshot_store.model import Manifest


def read_manifest(directory: int, snapshot_id: str) -> Manifest:
    """Read and check the manifest in an open directory.

    Raises:
        OSError, FieldError, CorruptSnapshotError, MismatchError
    """
    descriptor = open_file(directory, MANIFEST_NAME)
    try:
        # One byte more than allowed, so that the parser sees that it is too long.
        raw = _read(descriptor, min(os.fstat(descriptor).st_size, MAX_MANIFEST_SIZE + 1))
    finally:
        os.close(descriptor)
    return parse(raw, snapshot_id)


def open_file(directory: int, name: str) -> int:
    """Open a regular file in an open directory; no link is followed and no pipe waited for.

    Raises:
        OSError, FieldError
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(name, flags, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FieldError(f"{name} is not a file")
    return descriptor


def sized_file(directory: int, name: str, manifest: Manifest) -> int:
    """Open a data file and make sure that it has the size the manifest gives.

    Raises:
        OSError, FieldError
    """
    descriptor = open_file(directory, name)
    size, wanted = os.fstat(descriptor).st_size, manifest.checksums[name].size
    if size != wanted:
        os.close(descriptor)
        raise FieldError(f"{name} has {size} bytes, not {wanted}")
    return descriptor


def file_digest(directory: int, name: str, manifest: Manifest) -> tuple[str, int]:
    """Return SHA-256 and CRC-32 of a data file of the right size.

    Raises:
        OSError, FieldError
    """
    descriptor = sized_file(directory, name, manifest)
    try:
        sha, crc = sha256(), 0
        while chunk := os.read(descriptor, 1 << 20):
            sha.update(chunk)
            crc = crc32(chunk, crc)
        return sha.hexdigest(), crc
    finally:
        os.close(descriptor)


def checked_bytes(directory: int, name: str, manifest: Manifest) -> bytes:
    """Return a data file's bytes after checking size and CRC-32.

    Raises:
        OSError, FieldError
    """
    descriptor = sized_file(directory, name, manifest)
    try:
        raw = _read(descriptor, manifest.checksums[name].size)
    finally:
        os.close(descriptor)
    if crc32(raw) != manifest.checksums[name].crc32:
        raise FieldError(f"{name} is not what was committed")
    return raw


def _read(descriptor: int, size: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(size)


def read_file(directory: int, name: str, manifest: Manifest) -> bytes:
    """Return a data file's bytes after checking the size only.

    Raises:
        OSError, FieldError
    """
    descriptor = sized_file(directory, name, manifest)
    try:
        return _read(descriptor, manifest.checksums[name].size)
    finally:
        os.close(descriptor)
