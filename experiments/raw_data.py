"""Raw data in a results folder: NAME.json holds all of a record, NAME.csv a row for each sample."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMAT = 1


def save(
    folder: pathlib.Path,
    experiment: str,
    record: Mapping[str, Any],
    head: Sequence[str],
    rows: Iterable[Iterable[object]],
) -> None:
    """Write both files of an experiment; a run that is cut off keeps the last whole ones."""
    told = {"experiment": experiment, "format": FORMAT} | dict(record)
    write_whole(folder / f"{experiment}.json", json.dumps(told) + "\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_whole(folder / f"{experiment}.csv", text.getvalue())


def load(folder: pathlib.Path, experiment: str) -> dict[str, Any]:
    """Read what `save` was given. OSError or ValueError if it cannot be read or is another's."""
    path = folder / f"{experiment}.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        raise ValueError(f"{path} holds no JSON object")
    if told.pop("experiment", None) != experiment or told.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is no record of the {experiment} experiment in format {FORMAT}")
    return told


def write_whole(path: pathlib.Path, text: str) -> None:
    """Write a file that is whole at any time, whatever cuts the run off."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
