"""The example with a snapshot point (`examples/search.py`), and texts that it searches."""

from __future__ import annotations

import pathlib
from typing import Any

from orchestrator.function import Function

FILE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "search.py"
TEXTS = pathlib.Path("/usr/share/common-licenses")
"""Debian's licences: on every machine of the kind that this is built for."""
QUERIES = ("patent", "warranty", "copyright notice", "source code", "derivative works")


def search_function() -> Function:
    """Return the example. Raises FunctionFileError."""
    return Function.from_file(FILE)


def documents() -> dict[str, str]:
    """Return the texts by title, each once; none where there are none."""
    if not TEXTS.is_dir():
        return {}
    files = sorted(file for file in TEXTS.iterdir() if file.is_file() and not file.is_symlink())
    return {file.name: file.read_text(errors="replace") for file in files}


def question(texts: dict[str, str], number: int) -> dict[str, Any]:
    """Return the arguments of one call."""
    return {"documents": texts, "query": QUERIES[number % len(QUERIES)]}
