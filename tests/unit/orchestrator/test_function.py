"""Functions read from files: identity by content, and refusals that say what to do."""

from __future__ import annotations

import base64
import io
import json
import pathlib
import zipfile

import pytest

from orchestrator.errors import FunctionFileError, SettingsError
from orchestrator.function import Function
from orchestrator.wire import MAX_PAYLOAD

SOURCE = b"def main(args):\n    return {}\n"


def packed(**files: str) -> bytes:
    """A zip of the given files, by module name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


def test_source_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hello.py"
    path.write_bytes(SOURCE)
    function = Function.from_file(path)
    assert (function.name, function.format, function.main) == ("hello", "source", "main")
    assert json.loads(function.load_payload) == {
        "name": "hello",
        "main": "main",
        "format": "source",
        "code": SOURCE.decode(),
    }


def test_zip_file(tmp_path: pathlib.Path) -> None:
    code = packed(__main__="from helper import main", helper="def main(args): return {}")
    path = tmp_path / "several.zip"
    path.write_bytes(code)
    function = Function.from_file(path, main="main")
    assert base64.b64decode(json.loads(function.load_payload)["code"]) == code
    assert function.format == "zip"


def test_identity_follows_content_and_not_the_name() -> None:
    function = Function("a", "source", SOURCE)
    assert function.id == Function("b", "source", SOURCE).id
    assert len(function.id) == 64
    others = [
        Function("a", "source", SOURCE + b"\n"),
        Function("a", "source", SOURCE, main="other"),
    ]
    assert len({function.id, *(other.id for other in others)}) == 3


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("absent.py", None, "No such file"),
        ("note.txt", SOURCE, "neither"),
        ("broken.zip", SOURCE, "no zip file"),
        ("version.zip", packed(__main__="").replace(b"\x14\x00", b"\xff\xff"), "no zip file"),
        ("empty.zip", packed(other="x = 1"), "no __main__.py"),
        ("latin.py", b"x = '\xe9'", "not UTF-8"),
        ("huge.py", b"#" * (MAX_PAYLOAD + 1), "too much"),
    ],
)
def test_bad_files_are_refused(
    tmp_path: pathlib.Path, name: str, content: bytes | None, cause: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FunctionFileError, match=cause) as caught:
        Function.from_file(path)
    assert caught.value.message.startswith(f"{path}: ")


def test_name_of_a_file_can_be_shown(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "od\nd\udcff.py"
    path.write_bytes(SOURCE)
    assert Function.from_file(path).name == "od?d?"


def test_main_must_be_a_name() -> None:
    with pytest.raises(FunctionFileError, match="cannot be the name"):
        Function("a", "source", SOURCE, main="os.system('x')")


def test_unknown_format() -> None:
    with pytest.raises(FunctionFileError, match="'tar' does not exist"):
        Function("a", "tar", SOURCE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "runtime"), [("f.py", "python"), ("f.js", "js"), ("f.mjs", "js"), ("F.JS", "js")]
)
def test_the_ending_chooses_the_runtime(tmp_path: pathlib.Path, file: str, runtime: str) -> None:
    path = tmp_path / file
    path.write_text("code")
    assert Function.from_file(path).runtime == runtime


@pytest.mark.parametrize(("entry", "runtime"), [("__main__.py", "python"), ("index.js", "js")])
def test_a_zips_entry_chooses_the_runtime(tmp_path: pathlib.Path, entry: str, runtime: str) -> None:
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "code")
    assert Function.from_file(path).runtime == runtime


def test_runtimes_have_ids_of_their_own() -> None:
    one, other = (Function("f", "source", b"main", runtime=name) for name in ("python", "js"))
    assert one.id != other.id


def test_a_runtime_that_does_not_exist() -> None:
    with pytest.raises(SettingsError, match="Choose one of: python, js"):
        Function("f", "source", b"", runtime="cobol")
