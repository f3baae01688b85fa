"""Pack a directory tree into the read-only archive of the guest image.

The format is described in ebbrt_image/src/files/ArchiveFormat.h. The same tree gives the same
bytes: names are sorted, owners are dropped, and all files get one modification time, which is
SOURCE_DATE_EPOCH or 0.

    pack_archive.py ROOT OUT
"""

from __future__ import annotations

import argparse
import hashlib
import os
import stat
import struct
import sys
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MAGIC = b"EBARCHV1"
HEADER = struct.Struct("<8sQQQQQqII")
ENTRY = struct.Struct("<QQIIIIII")
PAGE_SIZE = 4096
MAX_NAME = 255
MAX_LINKS = 40


class PackError(Exception):
    """The tree cannot be packed; the message names the file and the reason."""


@dataclass
class Node:
    """A file or directory of the tree, links resolved."""

    path: Path
    mode: int
    children: list[tuple[bytes, Node]] = field(default_factory=list)

    @property
    def is_directory(self) -> bool:
        """Whether the node can have children."""
        return stat.S_ISDIR(self.mode)


def resolve(root: Path, path: PurePosixPath) -> Path:
    """Follow all links of a path as if root were "/".

    Args:
        root: the directory that becomes "/", itself free of links.
        path: absolute path within it.

    Raises:
        PackError: the path does not exist or its links go round in a circle.
    """
    waiting = list(reversed(path.parts[1:]))
    current = root
    followed = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            current = current if current == root else current.parent
            continue
        candidate = current / part
        if candidate.is_symlink():
            followed += 1
            if followed > MAX_LINKS:
                raise PackError(f"{root}{path}: too many levels of links; break the circle")
            target = PurePosixPath(candidate.readlink())
            if target.is_absolute():
                current = root
                waiting.extend(reversed(target.parts[1:]))
            else:
                waiting.extend(reversed(target.parts))
        elif candidate.exists():
            current = candidate
        else:
            raise PackError(
                f"{root}{path}: points to {candidate}, which does not exist; "
                "remove the link or add what it points to"
            )
    return current


def scan(root: Path) -> Node:
    """Read the tree under root.

    Raises:
        PackError: a file is neither regular nor a directory, or a link is broken.
    """
    if not root.is_dir():
        raise PackError(f"{root}: is not a directory; give the root of the tree to pack")
    return _scan(root.resolve(), PurePosixPath("/"), ())


def _scan(root: Path, logical: PurePosixPath, above: tuple[Path, ...]) -> Node:
    path = resolve(root, logical)
    mode = path.stat().st_mode
    node = Node(path, mode)
    if stat.S_ISREG(mode):
        return node
    if not stat.S_ISDIR(mode):
        raise PackError(f"{path}: is no regular file, directory or link; remove it")
    if path in above:
        raise PackError(f"{root}{logical}: a link leads to a directory above it; remove the link")
    for name in sorted(os.fsencode(child.name) for child in path.iterdir()):
        if len(name) > MAX_NAME:
            raise PackError(f"{path}: has a name longer than {MAX_NAME} bytes; shorten it")
        child = _scan(root, logical / os.fsdecode(name), (*above, path))
        node.children.append((name, child))
    return node


def _align(size: int) -> int:
    return -(-size // PAGE_SIZE) * PAGE_SIZE


@dataclass
class _Listed:
    node: Node
    name: bytes
    parent: int
    first_child: int = 0


def _breadth_first(root: Node) -> list[_Listed]:
    listed = [_Listed(root, b"", 0)]
    waiting = deque([0])
    while waiting:
        index = waiting.popleft()
        entry = listed[index]
        if entry.node.children:
            entry.first_child = len(listed)
        for name, child in entry.node.children:
            waiting.append(len(listed))
            listed.append(_Listed(child, name, index))
    return listed


def pack(root: Path, modified: int = 0) -> bytes:
    """Return the archive of the tree under root.

    Args:
        root: directory whose contents become "/".
        modified: modification time of every file, in Unix seconds.

    Raises:
        PackError: the tree holds something that an archive cannot.
    """
    listed = _breadth_first(scan(root))
    names_offset = HEADER.size + len(listed) * ENTRY.size
    names_size = sum(len(entry.name) for entry in listed)
    data_offset = _align(names_offset + names_size)

    names = bytearray()
    entries = bytearray()
    data = bytearray()
    known: dict[bytes, int] = {}
    for entry in listed:
        offset = size = 0
        if not entry.node.is_directory:
            contents = entry.node.path.read_bytes()
            size = len(contents)
            digest = hashlib.sha256(contents).digest()
            if digest not in known:
                known[digest] = data_offset + len(data)
                data += contents.ljust(_align(size), b"\0")
            offset = known[digest]
        entries += ENTRY.pack(
            offset,
            size,
            len(names),
            len(entry.name),
            stat.S_IFMT(entry.node.mode) | stat.S_IMODE(entry.node.mode) & 0o777,
            entry.parent,
            entry.first_child,
            len(entry.node.children),
        )
        names += entry.name

    def header(check: int) -> bytes:
        return HEADER.pack(
            MAGIC,
            data_offset + len(data),
            HEADER.size,
            names_offset,
            names_size,
            data_offset,
            modified,
            len(listed),
            check,
        )

    index = bytes(entries + names).ljust(data_offset - HEADER.size, b"\0")
    check = zlib.crc32(index, zlib.crc32(header(0)))
    return header(check) + index + bytes(data)


def main() -> int:
    """Pack as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Pack a directory tree into an archive.")
    parser.add_argument("root", type=Path, metavar="ROOT", help="directory that becomes /")
    parser.add_argument("out", type=Path, metavar="OUT", help="archive to write")
    arguments = parser.parse_args()
    out: Path = arguments.out
    try:
        archive = pack(arguments.root, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    except PackError as error:
        print(f"pack_archive: {error}", file=sys.stderr)
        return 1
    # Aside and renamed, so that make never finds half an archive.
    aside = out.with_name(out.name + ".tmp")
    aside.write_bytes(archive)
    aside.replace(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
