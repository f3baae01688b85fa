"""Turn tests/vectors/frames.json into initialisers that FrameTest.cc includes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def c_bytes(hexadecimal: str) -> str:
    """Return a C++ string literal expression that holds the bytes, NULs included."""
    data = bytes.fromhex(hexadecimal)
    escaped = "".join(f"\\x{byte:02x}" for byte in data)
    return f'std::string("{escaped}", {len(data)})'


def good_line(vector: dict[str, Any]) -> str:
    """Return the initialiser of one well-formed frame."""
    return (
        f'GOOD_FRAME("{vector["name"]}", {vector["type"]}, {vector["id"]}ull,'
        f" {vector['context']}u, {vector['time']}u,"
        f" {c_bytes(vector['payload'])}, {c_bytes(vector['frame'])})"
    )


def bad_line(vector: dict[str, Any]) -> str:
    """Return the initialiser of one frame that must be refused."""
    error = f"k{vector['error'].capitalize()}"
    return f'BAD_FRAME("{vector["name"]}", {error}, {c_bytes(vector["frame"])})'


def main(source: Path, target: Path) -> None:
    """Read the vectors from source and write the initialisers to target."""
    vectors = json.loads(source.read_text(encoding="utf-8"))
    lines = [good_line(vector) for vector in vectors["frames"]]
    lines += [bad_line(vector) for vector in vectors["refused"]]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
