"""Fetch a source package of PyPI and unpack it, after checking its SHA-256.

The C sources of the engine and of the URL parser come inside source packages of Python bindings.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


class FetchError(Exception):
    """The package could not be had; the message says why and what to do."""


def fetch(requirement: str, sha256: str, cache: Path, pip: list[str]) -> Path:
    """Return the package's file in ``cache``, downloaded unless it is there; raises FetchError."""
    name, _, version = requirement.partition("==")
    kept = cache / f"{name.replace('-', '_')}-{version}.tar.gz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _download(pip, requirement, Path(folder), kept.name)
            (Path(folder) / kept.name).replace(kept)
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    if digest != sha256:
        kept.unlink()
        raise FetchError(f"{kept} has SHA-256 {digest}, not {sha256}. It is removed; build again.")
    return kept


def _download(pip: list[str], requirement: str, folder: Path, expected: str) -> None:
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / expected).exists():
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise FetchError(f"{requirement} could not be downloaded. Check the network.\n{tail}")


def unpack(package: Path, target: Path) -> None:
    """Unpack ``package`` so that its only folder becomes ``target``."""
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(package) as archive:
        archive.extractall(fresh)  # its sum is known
    (inner,) = fresh.iterdir()
    shutil.rmtree(target, ignore_errors=True)
    inner.rename(target)
    fresh.rmdir()


def main() -> int:
    """Run as a program; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pip", type=shlex.split, default=["pip"], help="the command to run")
    parser.add_argument("requirement", help="NAME==VERSION")
    parser.add_argument("sha256")
    parser.add_argument("cache", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    try:
        package = fetch(arguments.requirement, arguments.sha256, arguments.cache, arguments.pip)
        unpack(package, arguments.target)
    except (FetchError, OSError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
