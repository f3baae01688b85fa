"""Which of a machine's apt entries become source entries, and what is taken from apt's answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ebbrt_image.tools import fetch_source
from ebbrt_image.tools.fetch_source import (
    FetchError,
    parse_uris,
    source_lines,
    source_stanzas,
)

OWN = "deb http://mirror.invalid/debian bookworm main"
SHA = "ab" * 32


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (OWN, "deb-src http://mirror.invalid/debian bookworm main"),
        (f"{OWN} contrib  # why", "deb-src http://mirror.invalid/debian bookworm main"),
        (
            "deb [signed-by=/k.gpg arch=amd64] http://m.invalid/s bookworm-security main",
            "deb-src [signed-by=/k.gpg arch=amd64] http://m.invalid/s bookworm-security main",
        ),
        (
            "deb http://m.invalid/s stable-updates main",
            "deb-src http://m.invalid/s stable-updates main",
        ),
        ("deb file:/srv/d bookworm/updates main", "deb-src file:/srv/d bookworm/updates main"),
        (f"# {OWN}", None),
        (OWN.replace("deb ", "deb-src "), None),
        ("deb http://m.invalid/apt cloud-bookworm main", None),
        ("deb http://m.invalid/pg bookworm-pgdg main", None),
        ("deb http://m.invalid/docker bookworm stable", None),
        ("deb http://m.invalid/node nodistro main", None),
        ("deb http://m.invalid/debian trixie main", None),
        ("", None),
    ],
)
def test_lines(line: str, expected: str | None) -> None:
    assert source_lines(f"# first\n{line}\n", "bookworm") == ([expected] if expected else [])


def test_stanzas() -> None:
    text = (
        "Types: deb\n# a note\nURIs: http://m.invalid/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main contrib\nArchitectures: amd64\nSigned-By:\n -----BEGIN\n .\n -----END\n"
        "\nTypes: deb deb-src\nEnabled: no\nURIs: http://m.invalid/off\nSuites: bookworm\n"
        "Components: main\n"
        "\n\nTypes: deb\nURIs: http://m.invalid/node\nSuites: nodistro\nComponents: main\n"
        "\nTypes: deb-src\nURIs: http://m.invalid/src\nSuites: bookworm\nComponents: main\n"
    )
    (stanza,) = source_stanzas(text, "bookworm")
    assert stanza == (
        "types: deb-src\nuris: http://m.invalid/debian\nsuites: bookworm bookworm-updates\n"
        "components: main\nsigned-by: \n -----BEGIN\n .\n -----END\n"
    )


def test_both_kinds_of_files_are_read(tmp_path: Path) -> None:
    apt = tmp_path / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text(OWN)
    (apt / "sources.list.d/other.list").write_text("deb http://m.invalid/pg bookworm-pgdg main")
    (apt / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://m.invalid/d\nSuites: bookworm\nComponents: main\n"
    )
    assert fetch_source.write_private_sources(apt, tmp_path / "parts", "bookworm") == 2
    assert "pgdg" not in (tmp_path / "parts/debian.list").read_text()
    assert "deb-src" in (tmp_path / "parts/debian.sources").read_text()


def uri(name: str) -> str:
    return f"'http://m.invalid/{name}' {name} 123 SHA256:{SHA}\n"


def test_the_tarball_of_the_installed_version_is_taken() -> None:
    text = (
        "Reading...\n" + uri("python3.11_3.11.4.orig.tar.gz") + uri("python3.11_3.11.2.orig.tar.xz")
    )
    tarball = parse_uris(text, "python3.11", "3.11.2")
    assert (tarball.name, tarball.size, tarball.sha256) == (
        "python3.11_3.11.2.orig.tar.xz",
        123,
        SHA,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        uri("python3.11_3.11.20.orig.tar.xz"),
        uri("python3.11_3.11.2.debian.tar.xz"),
        uri("python3.11_3.11.2.orig.tar.xz").replace("SHA256", "MD5Sum"),
    ],
)
def test_another_version_is_refused_with_the_next_step(text: str) -> None:
    with pytest.raises(FetchError, match="Next: apt-get update"):
        parse_uris(text, "python3.11", "3.11.2")


def test_a_machine_without_debian_entries_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_source, "APT", tmp_path)
    with pytest.raises(FetchError, match="no enabled Debian entry"):
        fetch_source.fetch(tmp_path / "work", tmp_path / "out.tar", "python3.11", "3.11.2")
