"""`seuss micro`, and `seuss invoke` with functions in Rust."""

from __future__ import annotations

import json
import pathlib

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.micro.toolchain import Toolchain
from tests.integration.micro.conftest import FUNCTIONS, HOSTILE

pytestmark = pytest.mark.usefixtures("toolchain")


def seuss(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_build_prints_the_product(toolchain: Toolchain) -> None:
    for product in ("escape", "unwind", "process"):
        done = seuss("micro", "build", str(FUNCTIONS / "timestamp.rs"), "--as", product)
        assert done.exit_code == 0
        made = pathlib.Path(done.stdout.strip())
        assert made.is_file() and made.is_relative_to(toolchain.root)


def test_build_says_why_it_refuses() -> None:
    done = seuss("micro", "build", str(HOSTILE / "wild.rs"))
    assert done.exit_code == 2
    assert "wild: refused: line 2: the attribute `no_std`" in done.stderr
    assert "`unsafe` is forbidden" in done.stderr
    done = seuss("micro", "build", "missing.rs")
    assert (done.exit_code, "missing.rs: cannot be read" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", [("micro", "run"), ("invoke", "--isolation", "language")])
def test_calls(command: tuple[str, ...]) -> None:
    file = str(FUNCTIONS / "json.rs")
    arguments = json.dumps({"orders": [{"customer": "a", "cents": 7}]})
    done = seuss(*command, file, "--arg", arguments, "--repeat", "2", "--json")
    assert done.exit_code == 0, done.output
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["path"] for each in told] == ["cold", "warm"]
    for each in told:
        assert each["isolation"] == "language"
        assert each["result"] == {"customers": [{"customer": "a", "orders": 1, "cents": 7}]}


def test_failures_set_the_status() -> None:
    done = seuss("micro", "run", str(FUNCTIONS / "spin.rs"), "--budget", "0.02")
    assert (done.exit_code, "timeout: The function was stopped" in done.stderr) == (1, True)
    done = seuss("micro", "run", str(FUNCTIONS / "panic.rs"))
    assert (done.exit_code, "panicked at 'asked to, with 2 bytes'" in done.stderr) == (1, True)
    done = seuss("micro", "run", str(FUNCTIONS / "spin.rs"), "--core", "999")
    assert (done.exit_code, "999" in done.stderr) == (2, True)
