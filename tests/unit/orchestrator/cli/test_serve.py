"""`seuss serve`: what it refuses before anything is started."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from click.testing import CliRunner

from orchestrator.cli import main


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--host", "0.0.0.0"], "that needs a token"),
        (["--token-file", "absent"], "Cannot read the token in absent"),
        (["--token-file", "EMPTY"], "is empty. Put a token into it"),
        (["--token-file", "SHORT"], "A token of 5 letters can be guessed"),
        (["--contexts", "0"], "0 contexts cannot serve"),
        (["--machines", "0"], "0 machines cannot serve"),
        (["--queue", "-1"], "A queue of -1 cannot be"),
        (["--snapshot-budget", "-1"], "cannot be. Give 0"),
        (["--hot-per-function", "-1"], "hot_per_function of -1 cannot be"),
        (["--hot-idle", "nan"], "hot_idle_s of nan cannot be"),
        (["--memory", "1"], "too little"),
        (["--memory-queue", "0"], "A queue of 0 calls for a node's memory cannot be"),
        (["--memory-wait", "0"], "Calls cannot wait 0.0 s for a node's memory"),
        (["--port", "70000"], "70000"),
        (["--reach", "some"], "'some' is not one of 'all', 'outside', 'none'"),
    ],
)
def test_mistakes(
    runner: CliRunner, tmp_path: pathlib.Path, options: list[str], cause: str
) -> None:
    files = {"EMPTY": tmp_path / "empty", "SHORT": tmp_path / "short"}
    files["EMPTY"].write_text("\n")
    files["SHORT"].write_text("short\n")
    words = [str(files.get(option, option)) for option in options]
    done = runner.invoke(main, ["serve", *words])
    assert done.exit_code == 2 and cause in done.stderr
    assert not (tmp_path / "store").exists()


def test_a_token_from_the_environment(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEUSS_TOKEN", "tiny")
    done = runner.invoke(main, ["serve"])
    assert done.exit_code == 2 and "A token of 4 letters" in done.stderr


def test_it_may_have_as_many_connections_as_the_host_grants() -> None:
    program = (
        "import resource as r; from orchestrator.cli.serve import allow_connections; "
        "r.setrlimit(r.RLIMIT_NOFILE, (64, r.getrlimit(r.RLIMIT_NOFILE)[1])); "
        "allow_connections(); print(len(set(r.getrlimit(r.RLIMIT_NOFILE))))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout == b"1\n"
