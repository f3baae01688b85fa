"""Functions in Rust: reading files, and their identity."""

from __future__ import annotations

import pathlib

import pytest

from orchestrator.errors import FunctionFileError
from orchestrator.micro.function import MOST_SOURCE, RustFunction


def test_from_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "hello.rs"
    file.write_bytes(b"pub fn main() {}")
    function = RustFunction.from_file(file)
    assert (function.name, function.code) == ("hello", b"pub fn main() {}")


def test_identity_is_the_codes() -> None:
    assert RustFunction("a", b"x").id == RustFunction("b", b"x").id
    assert RustFunction("a", b"x").id != RustFunction("a", b"y").id


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("hello.py", b"", "is a .rs file"),
        ("missing.rs", None, "cannot be read"),
        ("large.rs", b"x" * (MOST_SOURCE + 1), "too much"),
    ],
)
def test_faults_name_the_file(
    tmp_path: pathlib.Path, name: str, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FunctionFileError, match=fault) as caught:
        RustFunction.from_file(tmp_path / name)
    assert name in caught.value.message
