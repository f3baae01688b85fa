"""What tests have make build: by one of pytest's workers at a time."""

from __future__ import annotations

import fcntl
import pathlib
import subprocess


def make(source: pathlib.Path, build: pathlib.Path) -> None:
    """Run make in `source` with BUILD=`build`; meanwhile others who want the same wait."""
    build.mkdir(parents=True, exist_ok=True)
    with (build / ".making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "--silent", "-C", str(source), f"BUILD={build}"], check=True)
