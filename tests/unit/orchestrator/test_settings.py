"""Settings: where the defaults come from, and which values are refused."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from orchestrator.errors import SettingsError
from orchestrator.runtimes import default_image
from orchestrator.settings import Settings


def test_image_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEUSS_IMAGE", raising=False)
    assert default_image().parts[-2:] == ("build", "ebbrt-python.elf")
    monkeypatch.setenv("SEUSS_IMAGE", "/other.elf")
    assert default_image() == pathlib.Path("/other.elf")


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"accelerator": "hvf"}, "hvf.*Choose one of: auto, kvm, tcg"),
        ({"machine": "pc"}, "pc.*Choose one of: microvm, q35"),
        ({"memory_mib": 1}, "too little"),
        ({"pool_size": -1}, "pool"),
        ({"memory_queue": 0}, "queue of 0 calls.*at least 1"),
        ({"memory_wait_s": 0}, "Calls cannot wait 0 s.*more than 0"),
        ({"memory_wait_s": float("nan")}, "Calls cannot wait"),
        ({"timeout_s": 0}, "timeout"),
        ({"timeout_s": float("inf")}, "timeout"),
        ({"timeout_s": float("nan")}, "timeout"),
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, Any], cause: str) -> None:
    with pytest.raises(SettingsError, match=cause):
        Settings(image=pathlib.Path("image"), store=pathlib.Path("store"), **wrong)
