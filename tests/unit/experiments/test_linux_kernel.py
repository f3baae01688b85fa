"""Taking the ELF out of a Linux kernel, and packing a RAM disk."""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess

import pytest

from experiments.peers.errors import PeerError
from experiments.peers.linux_kernel import LZ4_MAGIC, image, payload, write_elf, write_ramdisk


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


def test_debians_kernel_is_a_whole_elf(tmp_path: pathlib.Path) -> None:
    try:
        image()
        write_elf(tmp_path / "vmlinux")
    except PeerError as error:
        pytest.skip(error.message)
    with (tmp_path / "vmlinux").open("rb") as file:
        head = file.read(64)
        size = file.seek(0, 2)
        # 64 bits, little endian; a program at fixed addresses for x86-64: what Firecracker takes.
        assert head[:6] == b"\x7fELF\x02\x01"
        assert struct.unpack_from("<HH", head, 16) == (2, 62)
        (table,), (entry, count) = (
            struct.unpack_from("<Q", head, 32),
            struct.unpack_from("<HH", head, 54),
        )
        file.seek(table)
        parts = [struct.unpack("<II6Q", file.read(entry)) for _ in range(count)]
    loaded = [part for part in parts if part[0] == 1]
    assert loaded
    # Nothing was cut off by ending early.
    assert all(part[2] + part[5] <= size for part in loaded)


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
