"""The guest image as a file: what it is called is the sum of its bytes."""

from __future__ import annotations

import hashlib
import pathlib

from orchestrator.errors import ImageError

RUNTIME = "python"
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
