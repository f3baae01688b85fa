"""What `make` says before it begins an hour of work."""

from __future__ import annotations

import subprocess

import pytest

from experiments.environment import CHECKOUT


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make in the checkout."""
    command = ["make", "-C", str(CHECKOUT), "--old-file=setup", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("scale", ["huge", "quick full", "Quick"])
def test_unknown_scales_are_refused_at_once(scale: str) -> None:
    made = make("--dry-run", f"SCALE={scale}", "experiments")
    assert made.returncode != 0
    assert f'SCALE is "{scale}". Give quick, default or full' in made.stderr


@pytest.mark.parametrize(("scale", "told"), [("", "default"), (" quick ", "quick")])
def test_no_scale_is_the_default(scale: str, told: str) -> None:
    made = make(
        "--dry-run", "--old-file=image", "--old-file=micro", f"SCALE={scale}", "experiments"
    )
    assert f"suite --scale {told}\n" in made.stdout


@pytest.mark.parametrize("target", ["plots", "report"])
def test_results_that_are_not_there_are_told(target: str) -> None:
    made = make("RESULTS=", target)
    assert made.returncode != 0 and 'There are no results in ""' in made.stderr
