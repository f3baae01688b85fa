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
from orchestrator.network import parse_all
from orchestrator.runtimes import (
    DEFAULT_RUNTIME,
    RUNTIMES,
    Runtime,
    find_runtime,
    runtime_of_suffix,
)
from orchestrator.wire import MAX_PAYLOAD

Format = Literal["source", "zip"]

MOST_LOOKED_AT = 1 << 20
"""Bytes of a zip's file that are unpacked to look for one."""


@dataclass(frozen=True)
class Function:
    """Code with a `main(args: dict) -> dict`, as OpenWhisk's actions have it.

    `format` is "source" (one file of UTF-8 text) or "zip" (several files, one of them the
    runtime's entry). Raises FunctionFileError when the code cannot be what `format` says, and
    SettingsError for a runtime that does not exist. Whether the code is valid is the guest's to
    say: it answers with a `syntax-error` of its own.
    """

    name: str
    format: Format
    code: bytes
    main: str = "main"
    runtime: str = DEFAULT_RUNTIME
    network: tuple[str, ...] = ()
    """Places that it may reach, each HOST:PORT, in the order of `network.parse_all`."""

    def __post_init__(self) -> None:
        if self.network != parse_all(self.network):
            raise FunctionFileError(
                self.name, "the places it may reach are not in order. Use network.parse_all."
            )
        if self.format not in get_args(Format):
            raise FunctionFileError(
                self.name,
                f"the format {self.format!r} does not exist. "
                f"Choose one of: {', '.join(get_args(Format))}.",
            )
        if not self.main.isidentifier():
            raise FunctionFileError(
                self.name,
                f"{self.main!r} cannot be the name of a function. Name the one to call.",
            )
        runtime = find_runtime(self.runtime)
        if self.format == "zip":
            _check_zip(self.name, self.code, runtime)
        if len(self.load_payload) > MAX_PAYLOAD:
            raise FunctionFileError(
                self.name,
                f"{len(self.code)} bytes of code are too much: packed for the guest "
                f"they are {len(self.load_payload)} bytes and at most {MAX_PAYLOAD} fit. "
                "Leave out files.",
            )

    @classmethod
    def from_file(
        cls,
        path: pathlib.Path,
        main: str = "main",
        runtime: str | None = None,
        network: tuple[str, ...] = (),
    ) -> Function:
        """Read a function from a file: its ending, or what a zip holds, says which runtime's it is.

        A given `runtime` goes before that. Raises FunctionFileError naming the file, what is wrong
        with it, and what to do.
        """
        suffix = path.suffix.lower()
        by_suffix = runtime_of_suffix(suffix)
        if suffix != ".zip" and by_suffix is None:
            endings = ", ".join(end for each in RUNTIMES.values() for end in each.suffixes)
            raise FunctionFileError(
                str(path), f"a function is a file ending in {endings} or .zip; this is neither."
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
            if suffix == ".zip":
                runtime = runtime or _runtime_of_zip(name, code)
                return cls(name, "zip", code, main, runtime, network)
            assert by_suffix is not None
            return cls(name, "source", code, main, runtime or by_suffix.name, network)
        except FunctionFileError as error:
            raise FunctionFileError(str(path), error.fault) from error

    @cached_property
    def id(self) -> str:
        """SHA-256 (64 hex digits) over runtime, format, main, network and code, not the name."""
        digest = hashlib.sha256()
        # What it fetches while it is imported becomes part of its snapshot. How many places there
        # are comes first: code that begins like a place is none.
        count = f" {len(self.network)}" if self.network else ""
        digest.update(f"{self.runtime}\0{self.format}{count}\0{self.main}\0".encode())
        digest.update("".join(f"{place}\0" for place in self.network).encode())
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
        runtime = find_runtime(self.runtime)
        call = runtime.point.encode()
        if self.format == "source":
            return call in self.code
        try:
            with zipfile.ZipFile(io.BytesIO(self.code)) as archive:
                files = archive.namelist()
                entry = next(each for each in runtime.entries if each in files)
                text = archive.open(entry).read(MOST_LOOKED_AT)
        except Exception:  # whatever is wrong with it, the guest will tell
            return True
        return call in text or len(text) == MOST_LOOKED_AT

    def _source(self) -> str:
        try:
            return self.code.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FunctionFileError(
                self.name,
                f"the source is not UTF-8 (byte {error.start}). Save the file as UTF-8.",
            ) from error


def _names_in_zip(name: str, code: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise FunctionFileError(name, f"this is no zip file ({error}). Pack it again.") from error


def _runtime_of_zip(name: str, code: bytes) -> str:
    files = _names_in_zip(name, code)
    for runtime in RUNTIMES.values():
        if any(entry in files for entry in runtime.entries):
            return runtime.name
    return DEFAULT_RUNTIME


def _check_zip(name: str, code: bytes, runtime: Runtime) -> None:
    files = _names_in_zip(name, code)
    if not any(entry in files for entry in runtime.entries):
        raise FunctionFileError(
            name,
            f"the zip has no {' or '.join(runtime.entries)} at its top. "
            "Add one that defines the function.",
        )
