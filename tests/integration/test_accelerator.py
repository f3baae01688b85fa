"""The accelerator probe in real QEMU."""

from __future__ import annotations

import pathlib

import pytest

from orchestrator.errors import AcceleratorError
from orchestrator.machines import accelerator
from orchestrator.machines.accelerator import choose


async def test_auto_measures_once_and_says_why(
    small_guests: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    probe, cache = small_guests / "accelerator-probe.elf", tmp_path / "accelerator.json"
    verdict = await choose("auto", probe, cache)
    assert verdict.reason.startswith(verdict.name.upper())
    if verdict.measured:
        tcg = verdict.measured["tcg"]
        assert min(tcg.ring0, tcg.ring3, tcg.calls) > 0
        assert await choose("auto", probe, cache) == verdict


async def test_probe_that_does_not_run_is_an_error(
    test_guest: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test guest boots but finds no console on the probe's machine, and says so by its status.
    monkeypatch.setattr(accelerator, "kvm_obstacle", lambda: None)
    with pytest.raises(AcceleratorError, match="does not run under TCG: QEMU ended with status 65"):
        await choose("auto", test_guest, tmp_path / "cache.json")
