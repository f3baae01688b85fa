"""A function of the isolation language: one file of Rust with `pub fn main`."""

from __future__ import annotations

import hashlib
import pathlib
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from orchestrator.errors import FunctionFileError

MOST_SOURCE = 1 << 20
SIGNATURE = "pub fn main(args: &[u8]) -> Result<Vec<u8>, String>"


@dataclass(frozen=True)
class RustFunction:
    """Source with `pub fn main(args: &[u8]) -> Result<Vec<u8>, String>`.

    The arguments and the result are JSON objects as text. Whether the source may run is for
    `build` to say.
    """

    name: str
    code: bytes

    @classmethod
    def from_file(cls, path: pathlib.Path) -> Self:
        """Read a function from a .rs file. Raises FunctionFileError naming it and what is wrong."""
        if path.suffix != ".rs":
            raise FunctionFileError(
                str(path), "a function of the isolation language is a .rs file; this is none."
            )
        try:
            code = path.read_bytes()
        except OSError as error:
            raise FunctionFileError(
                str(path), f"cannot be read ({error.strerror}). Check the name and the permissions."
            ) from error
        if len(code) > MOST_SOURCE:
            raise FunctionFileError(
                str(path), f"{len(code)} bytes of source are too much; at most {MOST_SOURCE} pass."
            )
        name = "".join(letter if letter.isprintable() else "?" for letter in path.stem)
        return cls(name, code)

    @cached_property
    def id(self) -> str:
        """SHA-256 (64 hex digits) of the source; the name is not part of it."""
        return hashlib.sha256(b"rust\0" + self.code).hexdigest()
