"""What every experiment's raw data goes through."""

from __future__ import annotations

import json
import pathlib

import pytest

from experiments import raw_data

HEAD = ("what", "value")


def test_a_record_comes_back(tmp_path: pathlib.Path) -> None:
    raw_data.save(tmp_path, "some", {"seed": 7, "samples": [[1.5, None]]}, HEAD, [("a,b", None)])
    assert raw_data.load(tmp_path, "some") == {"seed": 7, "samples": [[1.5, None]]}
    assert (tmp_path / "some.csv").read_text() == 'what,value\n"a,b",\n'
    assert {path.name for path in tmp_path.iterdir()} == {"some.json", "some.csv"}


def test_what_is_no_record_is_named(tmp_path: pathlib.Path) -> None:
    raw_data.save(tmp_path, "some", {}, HEAD, [])
    path = tmp_path / "other.json"
    (tmp_path / "some.json").rename(path)
    with pytest.raises(ValueError, match=r"other\.json is no record of the other experiment"):
        raw_data.load(tmp_path, "other")
    path.write_text(json.dumps({"experiment": "other", "format": 2}))
    with pytest.raises(ValueError, match="in format 1"):
        raw_data.load(tmp_path, "other")
    path.write_text("[]")
    with pytest.raises(ValueError, match="holds no JSON object"):
        raw_data.load(tmp_path, "other")


def test_a_cut_off_write_keeps_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kept"
    raw_data.write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        raw_data.write_whole(path, "new \ud800")
    assert path.read_text() == "old"
