"""Completion in a real bash, as a person gets it by the tabulator."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.platform.database import Database
from orchestrator.platform.registry import Registry
from tests.unit.orchestrator.platform.fakes import echo


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0 and f"_SEUSS_COMPLETE={shell}_complete" in done.stdout


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Has `seuss` on the path, and a store with two functions."""
    with Database(tmp_path / "store") as database:
        for name in ("greet", "grow"):
            Registry(database).put(echo(name))
    program = tmp_path / "bin" / "seuss"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom orchestrator.cli import main\nmain(prog_name='seuss')\n"
    )
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fun"], {"functions"}),
        (["functions", "show", "gr"], {"greet", "grow"}),
        (["invoke", "gre"], {"greet"}),
        (["logs", "gro"], {"grow"}),
        (["invoke", "greet", "--isol"], {"--isolation"}),
        (["deploy", "f.py", "--isolation", ""], {"uc", "vm"}),
    ],
)
def test_bash_offers(folder: pathlib.Path, words: list[str], offered: set[str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    line = " ".join(f"'{word}'" for word in ["seuss", *words])
    script = (
        'eval "$(seuss completion bash)"\n'
        f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _seuss_completion seuss\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    root = pathlib.Path(__file__).parents[4]
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "SEUSS_STORE": str(folder / "store"),
        "PYTHONPATH": str(root),
    }
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == offered, done.stderr
