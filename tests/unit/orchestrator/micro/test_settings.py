"""Settings of workers: what cannot work is refused by name."""

from __future__ import annotations

import os
from typing import Any

import pytest

from orchestrator.errors import SettingsError
from orchestrator.micro.settings import MicroSettings, usual_cores


def test_usual_cores_can_be_used() -> None:
    assert set(MicroSettings(usual_cores()).cores) <= os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"cores": ()}, "cores"),
        ({"cores": (4095,)}, "4095"),
        ({"mechanism": "hope"}, "'hope'"),
        ({"quantum_us": -1}, "quantum"),
        ({"quantum_us": 0.5}, "quantum"),
        ({"spin_us": 10**10}, "10000000000 us"),
        ({"arena_mib": 0}, "0 MiB"),
        ({"stack_kib": 1}, "1 KiB"),
        ({"stack_kib": 1 << 21}, "2097152 KiB"),
        ({"timeout_s": 0}, "timeout"),
    ],
)
def test_faults(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        MicroSettings(**({"cores": usual_cores()} | values))
