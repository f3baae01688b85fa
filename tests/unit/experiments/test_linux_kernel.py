"""Taking the ELF out of a Linux kernel, and packing a RAM disk."""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess

import pytest

from experiments.peers.errors import PeerError
from experiments.peers.linux_kernel import LZ4_MAGIC, payload, write_ramdisk


def kernel(packed: bytes, sectors: int = 3, offset: int = 40) -> bytes:
    """A bzImage with nothing in it but `packed`."""
    head = bytearray((sectors + 1) * 512 + offset)
    head[0x1F1] = sectors
    struct.pack_into("<II", head, 0x248, offset, len(packed))
    return bytes(head) + packed + b"behind it"


def test_payload_is_found() -> None:
    packed = LZ4_MAGIC + b"the kernel"
    assert payload(kernel(packed)) == packed


@pytest.mark.parametrize(
    ("image", "message"),
    [(b"short", "no bzImage"), (kernel(b"\x1f\x8b\x08 by gzip"), "not compressed by LZ4")],
    ids=("short", "gzip"),
)
def test_other_kernels_are_refused(image: bytes, message: str) -> None:
    with pytest.raises(PeerError, match=f"{message}.*make peers"):
        payload(image)


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed: make peers")
def test_ramdisk_holds_files_and_links(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "tool").write_text("text")
    (root / "bin").symlink_to("usr/bin")
    write_ramdisk(root, tmp_path / "disk")
    listed = subprocess.run(
        ["cpio", "--list", "--quiet"],
        input=(tmp_path / "disk").read_bytes(),
        capture_output=True,
        check=True,
    )
    assert listed.stdout.decode().split() == ["bin", "usr", "usr/bin", "usr/bin/tool"]
