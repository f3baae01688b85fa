"""What the freezer takes in, and what it does to the code."""

from __future__ import annotations

import marshal
import re
from pathlib import Path

import pytest

from ebbrt_image.runtimes.python.tools import freeze
from ebbrt_image.runtimes.python.tools.freeze import Module, frozen_code, modules_under

SOURCE = '''"""Module."""
def add(a, b):
    """Function."""
    assert a, "needed"
    return a + b

class Empty:
    """Class."""

async def later():
    """Coroutine."""
    return __doc__
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("one.py", "test/x.py", "pack/__init__.py", "pack/__main__.py", "pack/inner.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("pack/tests/__init__.py", "plain/y.py", "pack/note.txt", "tkinter/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_modules_and_packages_are_found(tree: Path) -> None:
    found = [(module.name, module.is_package) for module in modules_under(tree)]
    assert found == [("one", False), ("pack", True), ("pack.inner", False)]


def test_docstrings_go_and_asserts_stay(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text(SOURCE)
    code = marshal.loads(frozen_code(Module("some.where", path, False)))
    assert code.co_filename == "<frozen some.where>"
    namespace: dict[str, object] = {}
    exec(code, namespace)
    add = namespace["add"]
    assert callable(add)
    assert add.__doc__ is None
    assert add(1, 2) == 3
    assert namespace["Empty"].__doc__ is None
    with pytest.raises(AssertionError, match="needed"):
        add(0, 1)
    assert add.__code__.co_firstlineno == 2  # type: ignore[attr-defined]


def test_the_table_names_every_module(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    freeze.freeze(list(modules_under(tree)), output)
    table = (output / "FrozenTable.c").read_text()
    rows = re.findall(r'\{"([\w.]+)", kBlob \+ (\d+), (\d+), ([01]), NULL\}', table)
    assert [(name, package) for name, _, _, package in rows] == [
        ("one", "0"),
        ("pack", "1"),
        ("pack.inner", "0"),
    ]
    blob = (output / "frozen.bin").read_bytes()
    for name, start, size, _ in rows:
        code = marshal.loads(blob[int(start) : int(start) + int(size)])
        assert code.co_filename == f"<frozen {name}>"
