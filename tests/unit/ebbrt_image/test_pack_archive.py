"""The archive packer, run as the build runs it, read back by the format's description."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PACKER = REPOSITORY / "ebbrt_image/tools/pack_archive.py"
PAGE_SIZE = 4096


@dataclass(frozen=True)
class Packed:
    """One file or directory of an archive."""

    mode: int
    data: bytes
    offset: int


def run(root: Path, out: Path, epoch: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the packer; epoch becomes SOURCE_DATE_EPOCH."""
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = epoch
    command = [sys.executable, str(PACKER), str(root), str(out)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def pack(root: Path, out: Path, epoch: str | None = None) -> bytes:
    """Pack a tree that must be accepted."""
    done = run(root, out, epoch)
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def unpack(archive: bytes) -> dict[str, Packed]:
    """Read an archive by walking it from the root; check what holds for every archive."""
    header = struct.unpack_from("<8sQQQQQqII", archive)
    magic, total, entries_at, names_at, _, data_at, _, count, check = header
    assert magic == b"EBARCHV1"
    assert total == len(archive)
    assert data_at % PAGE_SIZE == 0
    without_check = archive[:60] + bytes(4) + archive[64:data_at]
    assert zlib.crc32(without_check) == check

    def entry(index: int) -> tuple[int, ...]:
        return struct.unpack_from("<QQIIIIII", archive, entries_at + 40 * index)

    files: dict[str, Packed] = {}

    def visit(index: int, path: str) -> None:
        offset, size, name_at, name_size, mode, _, first, children = entry(index)
        data = archive[offset : offset + size]
        files[path or "/"] = Packed(mode, data, offset)
        if stat.S_ISREG(mode):
            assert offset % PAGE_SIZE == 0
            end = -(-(offset + size) // PAGE_SIZE) * PAGE_SIZE
            assert not any(archive[offset + size : end])
        names = []
        for child in range(first, first + children):
            _, _, name_at, name_size, _, parent, _, _ = entry(child)
            assert parent == index
            name = archive[names_at + name_at : names_at + name_at + name_size]
            names.append(name)
            visit(child, f"{path}/{os.fsdecode(name)}")
        assert names == sorted(names)

    visit(0, "")
    assert len(files) == count
    return files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty tree to pack."""
    directory = tmp_path / "root"
    directory.mkdir(mode=0o755)
    return directory


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the archive goes."""
    return tmp_path / "archive.bin"


def test_empty_tree(root: Path, out: Path) -> None:
    assert list(unpack(pack(root, out))) == ["/"]


def test_contents_and_modes(root: Path, out: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    big = bytes(range(256)) * 33
    (root / "a/b/big").write_bytes(big)
    (root / "a/empty").write_bytes(b"")
    program = root / "a/program"
    program.write_bytes(b"x")
    program.chmod(0o4755)
    files = unpack(pack(root, out))
    assert files["/a/b/big"].data == big
    assert files["/a/empty"].data == b""
    assert stat.S_ISDIR(files["/a/b"].mode)
    # No owners, so no set-user-id either.
    assert files["/a/program"].mode == stat.S_IFREG | 0o755


def test_names_sort_by_bytes(root: Path, out: Path) -> None:
    for name in ("b", "a", "B", "é", "a.b", "a-b", "_"):
        (root / name).write_text(name, encoding="utf-8")
    files = unpack(pack(root, out))
    assert {path: packed.data.decode() for path, packed in files.items() if path != "/"} == {
        f"/{name}": name for name in ("b", "a", "B", "é", "a.b", "a-b", "_")
    }


def test_same_tree_gives_same_bytes(root: Path, out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    for directory, names in ((root, ["x", "y", "z"]), (other, ["z", "y", "x"])):
        for name in names:
            (directory / name).write_text(name, encoding="ascii")
    os.utime(other / "x", (1, 1))
    assert pack(root, out) == pack(other, tmp_path / "other.bin")


def test_modification_time_is_the_one_asked_for(root: Path, out: Path) -> None:
    assert struct.unpack_from("<q", pack(root, out), 48) == (0,)
    assert struct.unpack_from("<q", pack(root, out, "1700000000"), 48) == (1700000000,)


def test_equal_files_share_their_pages(root: Path, out: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_bytes(b"same" * 3000)
    (root / "three").write_bytes(b"same" * 2999 + b"else")
    files = unpack(pack(root, out))
    assert files["/one"].offset == files["/two"].offset != files["/three"].offset


def test_links_are_resolved_within_the_tree(root: Path, out: Path) -> None:
    (root / "lib/python3").mkdir(parents=True)
    (root / "lib/python3/os.py").write_text("os", encoding="ascii")
    (root / "absolute").symlink_to("/lib/python3/os.py")
    (root / "directory").symlink_to("lib/python3")
    (root / "lib/up").symlink_to("../../../../lib/python3/os.py")
    (root / "chain").symlink_to("directory/os.py")
    files = unpack(pack(root, out))
    for path in ("/absolute", "/directory/os.py", "/lib/up", "/chain"):
        assert files[path].data == b"os"
        assert files[path].offset == files["/lib/python3/os.py"].offset


def test_refuses_what_an_archive_cannot_hold(root: Path, out: Path) -> None:
    def refusal(path: Path) -> str:
        done = run(root, out)
        path.unlink()
        assert done.returncode == 1
        assert not out.exists()
        return done.stderr

    link = root / "link"
    link.symlink_to("nowhere")
    assert "does not exist" in refusal(link)
    link.symlink_to("link")
    assert "too many levels" in refusal(link)
    link.symlink_to(".")
    assert "above it" in refusal(link)
    pipe = root / "pipe"
    os.mkfifo(pipe)
    assert "no regular file" in refusal(pipe)


def test_refuses_a_missing_root(tmp_path: Path, out: Path) -> None:
    done = run(tmp_path / "missing", out)
    assert done.returncode == 1
    assert "is not a directory" in done.stderr


def test_old_archive_stays_when_packing_fails(root: Path, out: Path) -> None:
    before = pack(root, out)
    (root / "link").symlink_to("nowhere")
    assert run(root, out).returncode == 1
    assert out.read_bytes() == before
