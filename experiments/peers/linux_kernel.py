"""Debian's cloud kernel and an initial RAM disk around the caller, for Linux VMs."""

from __future__ import annotations

import pathlib
import struct
import subprocess

from experiments.environment import CHECKOUT
from experiments.peers.errors import PeerError

FOLDER = CHECKOUT / "build" / "peers" / "linux"
"""Where `make peers` unpacks the kernel's package."""
_SECTORS_AT, _PAYLOAD_AT = 0x1F1, 0x248
"""Where the boot protocol has the set-up code's size, and the payload's offset and length."""
_SECTOR = 512
LZ4_MAGIC = bytes.fromhex("02214c18")


def image() -> pathlib.Path:
    """Return the compressed kernel; PeerError where `make peers` has not put one."""
    found = sorted((FOLDER / "boot").glob("vmlinuz-*"))
    if not found:
        raise PeerError(f"There is no Linux kernel in {FOLDER}. Run `make peers`.")
    return found[-1]


def payload(kernel: bytes) -> bytes:
    """Return the compressed ELF inside a bzImage; PeerError if it is not one with LZ4."""
    if len(kernel) < _PAYLOAD_AT + 8:
        raise PeerError("The Linux kernel is no bzImage. Remove build/peers and run `make peers`.")
    offset, length = struct.unpack_from("<II", kernel, _PAYLOAD_AT)
    start = (kernel[_SECTORS_AT] + 1) * _SECTOR + offset
    found = kernel[start : start + length]
    if not found.startswith(LZ4_MAGIC):
        raise PeerError(
            "The Linux kernel is not compressed by LZ4, as Debian's cloud kernel is. "
            "Remove build/peers and run `make peers`."
        )
    return found


def write_elf(target: pathlib.Path) -> None:
    """Write the kernel as an ELF, which QEMU starts without firmware. Raises PeerError."""
    packed = payload(image().read_bytes())
    # The payload ends with its unpacked size, which is no part of the stream.
    _pipe(("lz4", "-dc"), packed, target, may_end_early=True)


def write_ramdisk(root: pathlib.Path, target: pathlib.Path) -> None:
    """Write a root file system as an initial RAM disk (cpio, not compressed). Raises PeerError."""
    names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    words = ("cpio", "--create", "--null", "--format=newc", "--quiet", f"--directory={root}")
    _pipe(words, names.encode(), target)


def _pipe(
    words: tuple[str, ...], data: bytes, target: pathlib.Path, may_end_early: bool = False
) -> None:
    try:
        with target.open("wb") as file:
            done = subprocess.run(
                words, input=data, stdout=file, stderr=subprocess.PIPE, check=False
            )
    except OSError as error:
        raise PeerError(
            f"{words[0]} cannot be started ({error.strerror}). `make peers` installs it.",
            command=words,
        ) from error
    if done.returncode and not (may_end_early and target.stat().st_size):
        raise PeerError(
            f"{words[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()}", command=words
        )
