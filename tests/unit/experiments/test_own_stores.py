"""A run's stores, and what killed runs leave."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from experiments.own_stores import own_stores

KILLED = """
import os, pathlib, sys
from experiments.own_stores import own_stores
with own_stores(pathlib.Path(sys.argv[1])) as stores:
    (stores / "store").mkdir()
    os.kill(os.getpid(), 9)
"""


def folders(results: pathlib.Path) -> list[str]:
    return sorted(path.name for run in results.iterdir() for path in run.iterdir())


def test_stores_go_with_the_run(tmp_path: pathlib.Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ValueError, match="failed"), own_stores(run) as stores:
        (stores / "store").mkdir()
        raise ValueError("failed")
    assert folders(tmp_path) == []


def test_what_a_killed_run_left_goes_and_a_living_ones_stays(tmp_path: pathlib.Path) -> None:
    killed, living, new = (tmp_path / name for name in ("killed", "living", "new"))
    for run in (killed, living, new):
        run.mkdir()
    subprocess.run([sys.executable, "-c", KILLED, str(killed)], check=False)
    assert len(folders(tmp_path)) == 1
    with own_stores(living) as mine:
        with own_stores(new) as other:
            assert folders(tmp_path) == sorted((mine.name, other.name))
        assert mine.exists() and not other.exists()
