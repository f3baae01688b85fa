"""The suite: what is run, in which order, and where a run that was cut off goes on."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from experiments import environment, suite
from experiments.suite import Order, Scale, State, Step, SuiteError
from orchestrator.settings import Settings
from snapshot_store.errors import SeussError


def silent(name: str) -> suite.Report:
    """Report to nobody."""
    return lambda label, done, steps: None


class Stub:
    """Steps that write files, and note that they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, name: str, error: BaseException | None = None) -> Step:
        async def run(order: Order) -> None:
            self.ran.append(name)
            (order.folder / f"{name}.csv").write_text("half")
            (order.folder / f"{name}.json").write_text("half")
            if error is not None:
                raise error
            (order.folder / f"{name}.json").write_text("whole")

        return Step(name, run)


def folder_of(tmp_path: pathlib.Path) -> pathlib.Path:
    """A results folder inside of a folder of results."""
    return tmp_path / "2026-01-01T00-00-00"


async def test_a_run_that_was_cut_off_goes_on(tmp_path: pathlib.Path) -> None:
    folder, stub, settings = folder_of(tmp_path), Stub(), Settings(store=tmp_path / "store")
    folder.mkdir()
    state = suite.begin(folder, Scale.QUICK, 5)
    cut = (stub.step("one"), stub.step("two", KeyboardInterrupt()), stub.step("three"))
    with pytest.raises(KeyboardInterrupt):
        await suite.run(folder, state, settings, silent, cut)
    # A half-written record must not pass for a whole one.
    assert (folder / "one.json").read_text() == "whole"
    assert not (folder / "two.json").exists()

    assert suite.choose_folder(tmp_path, Scale.QUICK) == folder
    again = suite.begin(folder, Scale.QUICK, None)
    assert again.seed == 5
    whole = tuple(stub.step(name) for name in ("one", "two", "three"))
    await suite.run(folder, again, settings, silent, whole)
    assert stub.ran == ["one", "two", "two", "three"]
    assert {path.name for path in folder.iterdir()} == {
        *("suite.json", "one.json", "one.csv", "two.json", "two.csv", "three.json", "three.csv")
    }
    assert State.load(folder).finished is not None
    assert suite.choose_folder(tmp_path, Scale.QUICK) != folder


async def test_an_experiment_that_cannot_run_is_passed_over(tmp_path: pathlib.Path) -> None:
    folder, stub = folder_of(tmp_path), Stub()
    folder.mkdir()
    state = suite.begin(folder, Scale.QUICK, 5)
    steps = (stub.step("one", SeussError("no toolchain")), stub.step("two"))
    await suite.run(folder, state, Settings(store=tmp_path / "store"), silent, steps)
    assert stub.ran == ["one", "two"]
    state = State.load(folder)
    assert state.failures == {"one": "no toolchain"}
    assert list(state.seconds) == ["two"] and state.seconds["two"] >= 0
    assert not (folder / "one.json").exists() and (folder / "two.json").exists()


def test_other_scales_and_commits_are_not_gone_on_with(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    folder.mkdir()
    suite.begin(folder, Scale.QUICK, 5)
    assert suite.choose_folder(tmp_path, Scale.FULL) != folder
    monkeypatch.setattr(environment, "commit", lambda: "another")
    assert suite.choose_folder(tmp_path, Scale.QUICK) != folder


def test_a_folder_never_holds_two_kinds_of_results(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.begin(tmp_path, Scale.QUICK, 5)
    with pytest.raises(SuiteError, match="scale quick, and full"):
        suite.begin(tmp_path, Scale.FULL, None)
    with pytest.raises(SuiteError, match="seed 5, and 6"):
        suite.begin(tmp_path, Scale.QUICK, 6)
    monkeypatch.setattr(environment, "commit", lambda: "another")
    with pytest.raises(SuiteError, match="and another was asked"):
        suite.begin(tmp_path, Scale.QUICK, 5)
    (tmp_path / suite.STATE).write_text("[]")
    with pytest.raises(SuiteError, match=r"suite\.json is not readable"):
        suite.begin(tmp_path, Scale.QUICK, 5)
    (tmp_path / suite.STATE).unlink()
    (tmp_path / "latency.json").write_text("{}")
    with pytest.raises(SuiteError, match="of no suite"):
        suite.begin(tmp_path, Scale.QUICK, 5)


def test_two_suites_are_never_at_work_in_one_folder(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "results"
    with (
        suite.alone(folder),
        pytest.raises(SuiteError, match="Another suite is at work"),
        suite.alone(folder),
    ):
        pytest.fail("both were let in")
    with suite.alone(folder):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(SuiteError, match="cannot be made"), suite.alone(tmp_path / "file" / "x"):
        pytest.fail("there is no such folder")


def test_changes_in_the_checkout_are_another_commit(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        named = ("-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path))
        subprocess.run(["git", *named, *words], check=True, capture_output=True)

    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    assert environment.commit() == "unknown"
    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    found = [environment.commit()]
    for text in ("two", "three"):
        (tmp_path / "file").write_text(text)
        found.append(environment.commit())
    assert len(set(found)) == 3 and found[1].startswith(f"{found[0]}-dirty-")


def test_damaged_state_is_no_state(tmp_path: pathlib.Path) -> None:
    folder = folder_of(tmp_path)
    folder.mkdir()
    (folder / suite.STATE).write_text('{"format": 1, "scale": "quick"}')
    assert suite.told(folder) is None
    assert suite.choose_folder(tmp_path, Scale.QUICK) != folder
