"""`seuss invoke`: where output goes, and with which status it ends."""

from __future__ import annotations

import json
import pathlib

import pytest
from click.testing import CliRunner

from orchestrator.cli import main


def test_result_goes_to_stdout_and_the_rest_to_stderr(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(main, ["invoke", hello, "--arg", '{"n": 1}'])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"args": {"n": 1}, "ao": "full"}
    assert "printed\n" in done.stderr
    assert "warm in 3.2 ms (spawn 0.0, restore 2.0, run 1.2) on tcg" in done.stderr


def test_ao_stops_at_the_step_that_is_asked_for(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(main, ["invoke", hello, "--ao", "network"])
    assert json.loads(done.stdout)["ao"] == "network"
    assert runner.invoke(main, ["invoke", hello, "--ao", "some"]).exit_code == 2


def test_json_gives_one_object_a_line(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(
        main, ["invoke", hello, "--json", "--repeat", "3", "--path", "cold", "--no-ao"]
    )
    assert done.exit_code == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["path"] for answer in answers] == ["cold"] * 3
    assert answers[0]["result"] == {"args": {}, "ao": "none"}
    assert answers[0]["phases"]["restore"] == 2.0
    assert done.stderr == ""


def test_failed_function_is_an_object_too_and_status_1(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(
        main, ["invoke", hello, "--json", "--repeat", "2", "--arg", '{"fail": "timeout"}']
    )
    assert done.exit_code == 1
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["error"]["kind"] for answer in answers] == ["timeout", "timeout"]
    assert all("result" not in answer for answer in answers)


def test_failed_function_for_people(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(main, ["invoke", hello, "--arg", '{"fail": "exception"}'])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "Traceback: here" in done.stderr
    assert "exception: it was asked for" in done.stderr


def test_repeat_is_summed_up(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(main, ["invoke", hello, "--repeat", "4"])
    assert "4 invocations, 0 failed; ms: min 3.2, median 3.2, max 3.2" in done.stderr


def test_arguments_from_a_file(runner: CliRunner, hello: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "arguments.json"
    path.write_text('{"from": "file"}')
    done = runner.invoke(main, ["invoke", hello, "--arg", f"@{path}"])
    assert json.loads(done.stdout)["args"] == {"from": "file"}


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--arg", "{"], "this is no JSON"),
        (["--arg", "[1]"], "are a JSON object"),
        (["--arg", "@absent.json"], "cannot read absent.json"),
        (["--path", "frozen"], "'frozen' is not one of"),
        (["--timeout", "0"], "0.0"),
        (["--timeout", "nan"], "A timeout of nan s cannot be"),
        (["--timeout", "1e300"], "at most 86400 s"),
        (["--arg", '{"n": NaN}'], "NaN is not JSON"),
        (["--repeat", "0"], "x>=1"),
        (["--memory", "1"], "too little"),
        (["--main", "a b"], "cannot be the name"),
    ],
)
def test_usage_errors(runner: CliRunner, hello: str, options: list[str], cause: str) -> None:
    done = runner.invoke(main, ["invoke", hello, *options])
    assert done.exit_code == 2
    assert cause in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_file_is_a_usage_error(runner: CliRunner) -> None:
    done = runner.invoke(main, ["invoke", "absent.py"])
    assert done.exit_code == 2
    assert "absent.py: cannot be read (No such file or directory)" in done.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_letters_that_no_output_takes_are_escaped(
    runner: CliRunner, hello: str, options: list[str]
) -> None:
    arguments = ["--arg", '{"odd": "\\ud800", "fine": "\u00e9"}']
    done = runner.invoke(main, ["invoke", hello, *arguments, *options])
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert answer.get("result", answer)["args"] == {"odd": "\ud800", "fine": "\u00e9"}


def test_platform_error_shows_command_and_log(runner: CliRunner, hello: str) -> None:
    done = runner.invoke(main, ["invoke", hello, "--arg", '{"die": true}'])
    assert done.exit_code == 3
    assert "seuss: QEMU ended by itself. Try again.\n" in done.stderr
    assert "command: qemu-system-x86_64 -M 'a b'" in done.stderr
    assert "    last\n" in done.stderr
