"""The suite: what is run, in which order, and where a run that was cut off goes on."""

from __future__ import annotations

import pathlib

import pytest

from experiments import environment, suite
from experiments.suite import Order, Scale, State, Step
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
    state = suite.begin(folder, Scale.QUICK, 5)
    cut = (stub.step("one"), stub.step("two", KeyboardInterrupt()), stub.step("three"))
    with pytest.raises(KeyboardInterrupt):
        await suite.run(folder, state, settings, silent, cut)
    # A half-written record must not pass for a whole one.
    assert (folder / "one.json").read_text() == "whole"
    assert not (folder / "two.json").exists()

    assert suite.choose_folder(tmp_path, Scale.QUICK) == folder
    again = suite.begin(folder, Scale.QUICK, 99)
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
    state = suite.begin(folder, Scale.QUICK, 5)
    steps = (stub.step("one", SeussError("no toolchain")), stub.step("two"))
    await suite.run(folder, state, Settings(store=tmp_path / "store"), silent, steps)
    assert stub.ran == ["one", "two"]
    assert State.load(folder).failures == {"one": "no toolchain"}
    assert not (folder / "one.json").exists() and (folder / "two.json").exists()


def test_other_scales_and_commits_are_not_gone_on_with(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    suite.begin(folder, Scale.QUICK, 5)
    assert suite.choose_folder(tmp_path, Scale.FULL) != folder
    monkeypatch.setattr(environment, "commit", lambda: "another")
    assert suite.choose_folder(tmp_path, Scale.QUICK) != folder


def test_damaged_state_is_no_state(tmp_path: pathlib.Path) -> None:
    folder = folder_of(tmp_path)
    folder.mkdir()
    (folder / suite.STATE).write_text('{"format": 1, "scale": "quick"}')
    assert suite.told(folder) is None
    assert suite.choose_folder(tmp_path, Scale.QUICK) != folder
