"""`seuss doctor`: what is missing is a fault with advice, what is slow is none."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.errors import AcceleratorError
from orchestrator.machines import accelerator
from orchestrator.machines.accelerator import Accelerator

Findings = dict[str, dict[str, Any]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A machine where all is well; returns its image."""

    async def version() -> str:
        return "QEMU emulator version 7.2"

    async def choose(*_: object) -> Accelerator:
        return Accelerator("tcg", "max", "TCG, because a test says so.", {})

    monkeypatch.setattr(accelerator, "qemu_version", version)
    monkeypatch.setattr(accelerator, "choose", choose)
    monkeypatch.setattr(accelerator, "kvm_obstacle", lambda: "there is no /dev/kvm")
    image = tmp_path / "image.elf"
    image.write_bytes(b"\x7fELF")
    return image


def examine(runner: CliRunner, image: pathlib.Path) -> tuple[Result, Findings]:
    done = runner.invoke(main, ["doctor", "--json", "--image", str(image)])
    return done, {finding["subject"]: finding for finding in json.loads(done.stdout)}


def test_all_is_well(runner: CliRunner, machine: pathlib.Path) -> None:
    done, findings = examine(runner, machine)
    assert done.exit_code == 0
    assert "because a test says so" in findings["accelerator"]["state"]
    assert "the first capture makes it" in findings["store"]["state"]


def test_lack_of_kvm_is_no_fault(runner: CliRunner, machine: pathlib.Path) -> None:
    _, findings = examine(runner, machine)
    assert not findings["KVM"]["fault"]
    assert "there is no /dev/kvm" in findings["KVM"]["state"]


def test_missing_image(runner: CliRunner, machine: pathlib.Path) -> None:
    machine.unlink()
    done, findings = examine(runner, machine)
    assert done.exit_code == 3
    assert findings["image"]["fault"]
    assert "make image" in findings["image"]["advice"]


def test_missing_qemu(
    runner: CliRunner, machine: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def absent() -> str:
        raise AcceleratorError("QEMU cannot be started. Install it.")

    monkeypatch.setattr(accelerator, "qemu_version", absent)
    done, findings = examine(runner, machine)
    assert done.exit_code == 3
    assert findings["QEMU"]["advice"].endswith("Install it.")
    assert "accelerator" not in findings


def test_store_with_snapshots(
    runner: CliRunner, machine: pathlib.Path, snapshots: dict[str, str]
) -> None:
    _, findings = examine(runner, machine)
    assert f"{len(snapshots)} snapshots" in findings["store"]["state"]


def test_text_marks_faults(runner: CliRunner, machine: pathlib.Path) -> None:
    machine.unlink()
    done = runner.invoke(main, ["doctor", "--image", str(machine)])
    faults = [line for line in done.stdout.splitlines() if line.startswith("FAULT")]
    assert len(faults) == 1
    assert "image" in faults[0]
