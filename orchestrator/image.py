"""The guest image as a file: its name is the sum of its bytes, its mark tells that it changed."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Mapping

from orchestrator.errors import ImageError

PROBE_NAME = "accelerator-probe.elf"
BOOT_DEADLINE_S = 120.0


def image_digest(image: pathlib.Path) -> str:
    """Return the SHA-256 of an image (64 hex digits); ImageError if it cannot be read."""
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(
            f"The image {image} cannot be read ({error.strerror}). Build it with make image."
        ) from error


def image_mark(image: pathlib.Path) -> list[int]:
    """Return what changes when an image is built anew: size, time in ns, number of the file.

    Raises ImageError when it is not there.
    """
    try:
        facts = image.stat()
    except OSError as error:
        raise ImageError(
            f"The image {image} cannot be read ({error.strerror}). Build it with make image."
        ) from error
    return [facts.st_size, facts.st_mtime_ns, facts.st_ino]


def check_mark(image: pathlib.Path, mark: list[int]) -> None:
    """Make sure that an image is the one it was. Raises ImageError."""
    if image_mark(image) != mark:
        raise ImageError(f"The image {image} was rebuilt since the start. Start again.")


def check_runtime(image: pathlib.Path, wanted: str, ready: Mapping[str, object]) -> None:
    """Raise ImageError unless an image that said READY carries the wanted runtime."""
    carried = ready.get("runtime")
    if carried != wanted:
        raise ImageError(
            f"The image {image} carries the runtime {carried!r}, and {wanted!r} is wanted. "
            "Give the image of that runtime, or none."
        )
