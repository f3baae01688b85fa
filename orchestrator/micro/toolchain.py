"""What `make micro` has made: the worker, the load generator, and what functions link with."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from orchestrator.errors import MicroError

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_ROOT = CHECKOUT / "build" / "micro"
WRAPPERS = CHECKOUT / "micro_worker" / "wrappers"
RUSTC = pathlib.Path("/usr/bin/rustc")
"""Debian's. The libraries of another compiler do not fit, so it is not looked for in PATH."""
TARGET = "x86_64-unknown-linux-gnu"
ALLOWED = ("micro", "serde", "serde_json", "sha2")
"""The allow-list: the crates that a function may name, as in micro_worker/guest/allowed."""
FRONTS = {"sha2": "micro_sha2"}
"""Crates of ours that stand for a crate of the allow-list, and show only a part of it."""


@dataclass(frozen=True)
class Toolchain:
    """The products of `make micro`, by what they are for."""

    root: pathlib.Path
    worker: pathlib.Path
    load: pathlib.Path
    checker: pathlib.Path
    sysroot: pathlib.Path
    """core and alloc only: what a function is compiled against."""
    guest: Mapping[str, pathlib.Path]
    """The crates that a library links with, compiled against `sysroot`."""
    host: Mapping[str, pathlib.Path]
    """The crates that programs link with."""

    @classmethod
    def find(cls, root: pathlib.Path = DEFAULT_ROOT) -> Self:
        """Look at a build's products. Raises MicroError when they are not there or not whole."""
        host, guest = _products(root / "host.json"), _products(root / "guest.json")
        try:
            return cls(
                root=root,
                worker=host["micro-worker"],
                load=host["micro-load"],
                checker=host["micro-check"],
                sysroot=root / "sysroot",
                guest={
                    name: guest[FRONTS.get(name, name)]
                    for name in (*ALLOWED, "micro_abi", "micro_runtime")
                },
                host={"micro_channel": host["micro_channel"], "micro_abi": host["micro_abi"]},
            )
        except KeyError as error:
            raise MicroError(
                f"{root} lacks {error}: its build is not whole. Run `make micro`."
            ) from error

    def digest(self) -> str:
        """SHA-256 of all that goes into a function's library beside its own source."""
        digest = hashlib.sha256()
        crates = [*self.guest.values(), *self.host.values()]
        for path in [*crates, *sorted(WRAPPERS.glob("*.rs"))]:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def _products(messages: pathlib.Path) -> dict[str, pathlib.Path]:
    """Read cargo's messages: the library or program of each crate by its name."""
    try:
        lines = messages.read_text(encoding="utf-8").splitlines()
        told = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise MicroError(
            f"{messages} cannot be read ({error}): the worker is not built. Run `make micro`."
        ) from error
    found: dict[str, pathlib.Path] = {}
    for message in told:
        if message.get("reason") != "compiler-artifact":
            continue
        name, kinds = message["target"]["name"], message["target"]["kind"]
        files = [pathlib.Path(file) for file in message["filenames"]]
        if "bin" in kinds:
            found[name] = pathlib.Path(message["executable"])
        elif "lib" in kinds:
            # The host's and the target's crates may both be there; the target's comes later.
            found |= {name.replace("-", "_"): file for file in files if file.suffix == ".rlib"}
    missing = [str(path) for path in found.values() if not path.is_file()]
    if missing:
        raise MicroError(f"{missing[0]} is not there any more. Run `make micro`.")
    return found
