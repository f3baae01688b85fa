"""Freeze the standard library and the runner into read-only data of the interpreter's ELF.

Every module becomes a marshalled code object in one blob (``frozen.bin``), found through a table
(``FrozenTable.c``). Code objects are named ``<frozen json.decoder>``, so that tracebacks say where
they are. Asserts are kept; docstrings and column tables of the library are left out, because they
would only make the snapshots larger. A function's own code is compiled in the guest and keeps both.
"""

from __future__ import annotations

import argparse
import ast
import marshal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Left out, with all submodules: other packages' folders, and what has no meaning in a function.
EXCLUDED = frozenset(
    [
        "test",
        "idlelib",
        "tkinter",
        "turtle",
        "turtledemo",
        "lib2to3",
        "distutils",
        "ensurepip",
        "venv",
        "pydoc_data",
        "msilib",
        "curses",
        "sqlite3",
        "ctypes",
        "crypt",
        "antigravity",
        "this",
        "sitecustomize",
        "_distutils_system_mod",
        "_aix_support",
        "_bootsubprocess",
        "_osx_support",
        "rlcompleter",
        "webbrowser",
        "nturl2path",
        "__phello__",
        "asyncio.windows_events",
        "asyncio.windows_utils",
        "multiprocessing.popen_spawn_win32",
        "multiprocessing.sharedctypes",
        "dbm.gnu",
        "dbm.ndbm",
        "encodings.mbcs",
        "encodings.oem",
        "_sysconfigdata__linux_x86_64-linux-gnu",
    ]
)

#: Left out of every package: its tests, and what `python -m` would run.
SKIPPED = frozenset(["__pycache__", "test", "tests", "__main__.py"])

#: Already frozen inside libpython itself, as static objects that need no unmarshalling.
CORE = frozenset(
    [
        "zipimport",
        "abc",
        "codecs",
        "io",
        "_collections_abc",
        "_sitebuiltins",
        "genericpath",
        "ntpath",
        "posixpath",
        "os",
        "site",
        "stat",
        "runpy",
        "__hello__",
    ]
)

#: Statements run at the end of a library module, in its own namespace.
EPILOGUES = {
    "random": "import seuss_runner.renewal as _r; _r.watch(Random, globals()); del _r\n",
    "socket": "import seuss_runner.refusals as _r; _r.explain(socket, globals()); del _r\n",
}


@dataclass(frozen=True)
class Module:
    """A module to freeze."""

    name: str
    path: Path
    is_package: bool


def modules_under(folder: Path, prefix: str = "") -> Iterator[Module]:
    """Yield the modules below ``folder`` in sorted order, without the excluded ones."""
    for entry in sorted(folder.iterdir()):
        name = prefix + entry.name.removesuffix(".py")
        if name in EXCLUDED or entry.name in SKIPPED:
            continue
        if entry.is_dir() and (entry / "__init__.py").is_file():
            yield Module(name, entry / "__init__.py", True)
            yield from modules_under(entry, name + ".")
        elif entry.suffix == ".py" and entry.name != "__init__.py":
            yield Module(name, entry, False)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Return ``tree`` with the docstrings of modules, classes and functions taken out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                if len(node.body) == 1 and not isinstance(node, ast.Module):
                    node.body[0] = ast.copy_location(ast.Pass(), first)
                else:
                    del node.body[0]
    return tree


def frozen_code(module: Module) -> bytes:
    """Return the marshalled code of one module."""
    tree = without_docstrings(ast.parse(module.path.read_bytes()))
    tree.body += ast.parse(EPILOGUES.get(module.name, "")).body
    code = compile(tree, f"<frozen {module.name}>", "exec", dont_inherit=True, optimize=0)
    return marshal.dumps(code)


def freeze(modules: list[Module], output: Path) -> None:
    """Write ``frozen.bin``, ``FrozenTable.c`` and ``FrozenBlob.S`` into ``output``."""
    output.mkdir(parents=True, exist_ok=True)
    blob = bytearray()
    rows = []
    for module in modules:
        code = frozen_code(module)
        package = int(module.is_package)
        rows.append(f'    {{"{module.name}", kBlob + {len(blob)}, {len(code)}, {package}, NULL}},')
        blob += code
    (output / "frozen.bin").write_bytes(blob)
    (output / "FrozenTable.c").write_text(
        "#include <Python.h>\n"
        "extern const unsigned char kBlob[];\n"
        "const struct _frozen kFrozenModules[] = {\n"
        + "\n".join(rows)
        + "\n    {NULL, NULL, 0, 0, NULL},\n};\n"
    )
    (output / "FrozenBlob.S").write_text(
        '  .section .rodata.frozen, "a"\n  .balign 4096\n  .globl kBlob\nkBlob:\n'
        f'  .incbin "{output / "frozen.bin"}"\n'
        '  .balign 4096\n  .section .note.GNU-stack, "", @progbits\n'
    )


def main() -> int:
    """Command line: ``freeze.py --output DIR --builtin NAMES FOLDER...``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("folders", type=Path, nargs="+", help="folders whose modules are frozen")
    arguments = parser.parse_args()
    modules = [
        module
        for folder in arguments.folders
        for module in modules_under(folder)
        if module.name not in CORE
    ]
    freeze(modules, arguments.output.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
