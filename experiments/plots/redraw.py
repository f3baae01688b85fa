"""The main program of a plot: draw the pictures of a results folder again from its raw data."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

Record = TypeVar("Record")


def main(
    arguments: Sequence[str],
    name: str,
    load: Callable[[pathlib.Path], Record],
    draw: Callable[[Record, pathlib.Path], Sequence[pathlib.Path]],
) -> int:
    """Draw experiment `name` of the folder named in `arguments`; return the exit status."""
    if len(arguments) != 1:
        module = name.replace("-", "_")
        print(f"usage: python -m experiments.plots.{module} RESULTS_DIR", file=sys.stderr)
        return 2
    folder = pathlib.Path(arguments[0])
    try:
        record = load(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{folder}: no readable {name}.json ({error}).", file=sys.stderr)
        return 2
    for path in draw(record, folder):
        print(path)
    return 0
