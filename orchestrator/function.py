"""A user's function: its code, how it is packed, and the identity that keys its snapshots."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pathlib
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from orchestrator.errors import FunctionFileError
from orchestrator.wire import MAX_PAYLOAD

Format = Literal["source", "zip"]

ENTRY_FILE = "__main__.py"
POINT_CALL = b"snapshot_point"
"""What the guest looks for a snapshot point by."""
MOST_LOOKED_AT = 1 << 20
"""Bytes of a zip's file that are unpacked to look for one."""


@dataclass(frozen=True)
class Function:
    """Code with a `main(args: dict) -> dict`, as OpenWhisk's actions have it.

    `format` is "source" (one file of UTF-8 text) or "zip" (several files with a `__main__.py`).
    Raises FunctionFileError when the code cannot be what `format` says. Whether it is valid Python
    is the guest's to say: it answers with a `syntax-error` of its own.
    """

    name: str
    format: Format
    code: bytes
    main: str = "main"

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise FunctionFileError(
                self.name,
                f"the format {self.format!r} does not exist. "
                f"Choose one of: {', '.join(get_args(Format))}.",
            )
        if not self.main.isidentifier():
            raise FunctionFileError(
                self.name,
                f"{self.main!r} cannot be the name of a Python function. Name the one to call.",
            )
        if self.format == "zip":
            _check_zip(self.name, self.code)
        if len(self.load_payload) > MAX_PAYLOAD:
            raise FunctionFileError(
                self.name,
                f"{len(self.code)} bytes of code are too much: packed for the guest "
                f"they are {len(self.load_payload)} bytes and at most {MAX_PAYLOAD} fit. "
                "Leave out files.",
            )

    @classmethod
    def from_file(cls, path: pathlib.Path, main: str = "main") -> Function:
        """Read a function from a .py file or a .zip with `__main__.py`.

        Raises FunctionFileError naming the file, what is wrong with it, and what to do.
        """
        suffix = path.suffix.lower()
        if suffix not in (".py", ".zip"):
            raise FunctionFileError(
                str(path),
                f"a function is a .py file, or a .zip with {ENTRY_FILE}; this is neither.",
            )
        try:
            code = path.read_bytes()
        except OSError as error:
            raise FunctionFileError(
                str(path), f"cannot be read ({error.strerror}). Check the name and the permissions."
            ) from error
        # Names go into manifests and onto terminals.
        name = "".join(letter if letter.isprintable() else "?" for letter in path.stem)
        try:
            return cls(name, "zip" if suffix == ".zip" else "source", code, main)
        except FunctionFileError as error:
            raise FunctionFileError(str(path), error.fault) from error

    @cached_property
    def id(self) -> str:
        """SHA-256 (64 hex digits) over format, main and code; the name is not part of it."""
        digest = hashlib.sha256()
        digest.update(f"{self.format}\0{self.main}\0".encode())
        digest.update(self.code)
        return digest.hexdigest()

    @cached_property
    def load_payload(self) -> bytes:
        """The payload of the LOAD frame that brings this function into a guest."""
        if self.format == "zip":
            text = base64.b64encode(self.code).decode("ascii")
        else:
            text = self._source()
        packed = {"name": self.name, "main": self.main, "format": self.format, "code": text}
        return json.dumps(packed, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @cached_property
    def mentions_point(self) -> bool:
        """Whether a snapshot point can be in the function's file; False is certain."""
        if self.format == "source":
            return POINT_CALL in self.code
        try:
            with zipfile.ZipFile(io.BytesIO(self.code)) as archive:
                text = archive.open(ENTRY_FILE).read(MOST_LOOKED_AT)
        except Exception:  # whatever is wrong with it, the guest will tell
            return True
        return POINT_CALL in text or len(text) == MOST_LOOKED_AT

    def _source(self) -> str:
        try:
            return self.code.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FunctionFileError(
                self.name,
                f"the source is not UTF-8 (byte {error.start}). Save the file as UTF-8.",
            ) from error


def _check_zip(name: str, code: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise FunctionFileError(name, f"this is no zip file ({error}). Pack it again.") from error
    if ENTRY_FILE not in names:
        raise FunctionFileError(
            name, f"the zip has no {ENTRY_FILE} at its top. Add one that defines the function."
        )
