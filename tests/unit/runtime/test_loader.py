"""Loading and unloading a function within one interpreter."""

from __future__ import annotations

import base64
import io
import sys
import zipfile
from pathlib import Path

import pytest
import seuss
from seuss_runner.failures import Failure
from seuss_runner.loader import MODULE, Function, load


def source(code: str, name: str = "demo") -> Function:
    return load({"name": name, "main": "main", "format": "source", "code": code})


def archive(files: dict[str, str]) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, contents in files.items():
            target.writestr(name, contents)
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_function_runs_and_leaves_nothing_behind() -> None:
    function = source("import seuss\nseuss.on_restore(print)\ndef main(args): return args\n")
    assert function.main({"a": 1}) == {"a": 1}
    assert MODULE in sys.modules
    function.unload()
    assert MODULE not in sys.modules
    assert seuss._callbacks == []


def test_a_name_with_its_suffix_keeps_it() -> None:
    function = source("def main(args): return {'file': __file__}", name="handler.py")
    assert function.main({}) == {"file": "handler.py"}
    function.unload()


def test_a_failed_load_leaves_nothing_behind() -> None:
    before = list(sys.path)
    files = {"__main__.py": "import part\n", "part.py": "import absent_module\n"}
    with pytest.raises(Failure) as raised:
        load({"name": "z", "main": "main", "format": "zip", "code": archive(files)})
    assert raised.value.kind == "import-error"
    assert "part.py" in str(raised.value.traceback)
    assert MODULE not in sys.modules
    assert "part" not in sys.modules
    assert sys.path == before


def test_the_folder_of_a_zip_lives_as_long_as_the_function() -> None:
    files = {"__main__.py": "def main(args): return {'file': __file__}\n"}
    request: dict[str, object] = {"name": "z", "format": "zip", "code": archive(files)}
    function = load(request)
    result = function.main({})
    assert isinstance(result, dict)
    folder = Path(result["file"]).parent
    assert folder.is_dir()
    function.unload()
    assert not folder.exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("zeros", bytes((64 << 20) + 1))
    code = base64.b64encode(buffer.getvalue()).decode()
    with pytest.raises(Failure, match="67108864 are allowed"):
        load({"name": "bomb", "format": "zip", "code": code})


@pytest.mark.parametrize(
    "request_", [{}, {"name": 1, "code": ""}, {"name": "a", "code": None}, {"name": "a", "main": 5}]
)
def test_a_request_without_the_texts_it_needs(request_: dict[str, object]) -> None:
    with pytest.raises(Failure) as raised:
        load(request_)
    assert raised.value.kind == "bad-request"
