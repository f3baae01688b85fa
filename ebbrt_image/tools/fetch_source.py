"""Fetch the upstream tarball of a Debian source package, without touching the machine's apt set-up.

A fresh machine has no source entries enabled; this makes a private copy of its enabled Debian
entries, turned into source entries, and a private apt state. It therefore works as any user. apt
checks the release's signature and the tarball's checksum; the checksum is checked once more here.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")


class FetchError(Exception):
    """The tarball could not be had; the message says why and what to do."""


@dataclass(frozen=True)
class Tarball:
    """One line of ``apt-get source --print-uris``: name, size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str


def _is_debian(suites: list[str], components: list[str], codename: str) -> bool:
    """Whether an entry is Debian's own: its suites are the release's, and it has ``main``."""
    own = re.compile(rf"({re.escape(codename)}|stable)(-updates|-security|/updates)?/?$")
    return "main" in components and bool(suites) and all(own.match(suite) for suite in suites)


def source_lines(text: str, codename: str) -> list[str]:
    """Return the ``deb-src`` lines for the enabled Debian ``deb`` lines of a one-line file."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if match and _is_debian([match[3]], match[4].split(), codename):
            found.append(f"deb-src {match[1] or ''}{match[2]} {match[3]} main")
    return found


def source_stanzas(text: str, codename: str) -> list[str]:
    """Return ``deb-src`` stanzas for the enabled Debian stanzas of a deb822 file."""
    found = []
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        if not _is_debian(
            fields.get("suites", "").split(), fields.get("components", "").split(), codename
        ):
            continue
        fields |= {"types": "deb-src", "components": "main"}
        fields.pop("architectures", None)
        found.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
    return found


def write_private_sources(apt: Path, parts: Path, codename: str) -> int:
    """Write Debian's source entries of ``apt`` into ``parts``; return how many there are."""
    lines: list[str] = []
    stanzas: list[str] = []
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            lines += source_lines(path.read_text(), codename)
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        stanzas += source_stanzas(path.read_text(), codename)
    parts.mkdir(parents=True, exist_ok=True)
    (parts / "debian.list").write_text("".join(f"{line}\n" for line in dict.fromkeys(lines)))
    (parts / "debian.sources").write_text("\n".join(dict.fromkeys(stanzas)))
    return len(lines) + len(stanzas)


def _codename() -> str:
    match = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    if not match:
        raise FetchError("/etc/os-release names no Debian release; the image is built on Debian 12")
    return match[1]


def _run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        shown = " ".join(word for word in command if not word.startswith("-"))
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise FetchError(
            f"`{shown}` failed:\n{tail}\n"
            "Next: check that `apt-get update` works on this machine (network, proxy, "
            "/etc/apt/sources.list), then run make again."
        )
    return done.stdout


def parse_uris(text: str, package: str, upstream: str) -> Tarball:
    """Pick the original tarball of ``upstream`` out of ``apt-get --print-uris``."""
    for match in re.finditer(
        r"^'[^']*' (\S+\.orig\.tar\.\w+) (\d+) SHA256:([0-9a-f]{64})", text, re.M
    ):
        if match[1].startswith(f"{package}_{upstream}.orig."):
            return Tarball(match[1], int(match[2]), match[3])
    raise FetchError(
        f"Debian has no source of {package} {upstream} now, which the build needs.\n"
        "Next: apt-get update && apt-get upgrade, so that what is installed is what Debian has; "
        "then run make again."
    )


def fetch(work: Path, output: Path, package: str, upstream: str) -> None:
    """Leave the checked tarball of a package's version at ``output``; ``work`` is apt's own."""
    work.mkdir(parents=True, exist_ok=True)
    for name in ("lists/partial", "cache/archives/partial", "download"):
        (work / name).mkdir(parents=True, exist_ok=True)
    if not write_private_sources(APT, work / "parts", _codename()):
        raise FetchError(
            "no enabled Debian entry in /etc/apt (sources.list, sources.list.d).\n"
            "Next: enable the release's `main` there, or put the tarball "
            f"{package}_{upstream}.orig.tar.xz at {output} yourself."
        )
    options = [
        f"-oDir::Etc::SourceParts={work / 'parts'}",
        "-oDir::Etc::SourceList=/dev/null",
        f"-oDir::State::Lists={work / 'lists'}",
        f"-oDir::Cache={work / 'cache'}",
        "-oAPT::Sandbox::User=",
        "-oAPT::Get::AllowUnauthenticated=false",
        "-oAcquire::AllowInsecureRepositories=false",
        "-oAcquire::Languages=none",
        "-oAPT::Update::Post-Invoke-Success=",
        "-oAPT::Update::Error-Mode=any",
        "-oAcquire::Retries=3",
        "-q",
    ]
    _run(["apt-get", *options, "update"], work)
    source = ["apt-get", *options, "source", "--download-only", "--tar-only"]
    tarball = parse_uris(_run([*source, "--print-uris", package], work), package, upstream)
    _run([*source, package], work / "download")
    path = work / "download" / tarball.name
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != tarball.sha256 or path.stat().st_size != tarball.size:
        path.unlink()
        raise FetchError(f"{tarball.name}: SHA-256 is {digest}, Debian lists {tarball.sha256}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial")
    shutil.move(path, partial)
    partial.replace(output)


def main() -> int:
    """Command line: ``fetch_source.py WORK OUTPUT PACKAGE VERSION``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder for apt's private state")
    parser.add_argument("output", type=Path, help="where the tarball goes")
    parser.add_argument("package", help="name of the source package")
    parser.add_argument("version", help="upstream version")
    arguments = parser.parse_args()
    try:
        fetch(
            *(arguments.work.resolve(), arguments.output.resolve()),
            *(arguments.package, arguments.version),
        )
    except FetchError as error:
        print(f"fetch_source: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
