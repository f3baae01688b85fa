"""Records of labelled measurements, and the reports and plots made of them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

import pytest

from experiments import (
    arguments,
    arguments_report,
    sharing,
    sharing_report,
    snapshots,
    snapshots_report,
)
from experiments.experiment import ARGUMENTS, SHARING, SNAPSHOTS, Experiment
from experiments.measurements import Measurements
from experiments.point_function import expected
from experiments.promises import Check
from orchestrator.anticipation import Anticipation

ENVIRONMENT = {"accelerator": "tcg", "started": 1.7e9}
MADE = {"base": 40.0, "function": 0.5, "argument": 0.1}


def made_snapshots() -> Measurements:
    """A run in which AO halves the deltas, and JavaScript takes a tenth of Python."""
    record = Measurements(snapshots.NAME, dict(ENVIRONMENT), 1, 2)
    for kind in snapshots.kinds():
        for level, size in MADE.items():
            labels = kind.labels | {"level": level}
            size /= 10 if kind.runtime == "js" else 1
            size *= 1 if kind.ao is not Anticipation.NONE or level == "base" else 2
            record.add("stored pages", "MB", size, 0, **labels)
            for number in range(2):
                record.add("capture", "ms", size + number, number, **labels)
                record.add("restore", "ms", size + number, number, **labels)
    return record


def made_sharing() -> Measurements:
    """A run in which 100 functions take as much as one base."""
    record = Measurements(sharing.NAME, dict(ENVIRONMENT), 1, 2)
    for number in range(2):
        for path in ("cold", "warm"):
            for kind in sharing.FAULTS:
                count = 0 if kind == "protection" else 10 + number
                labels = {"function": "nop", "path": path, "kind": kind}
                record.add("faults", "count", count, number, **labels)
            for kind in ("owned_frames", "tables"):
                record.add("context", "frames", 7, number, function="nop", path=path, kind=kind)
        record.add("own pages", "pages", 10_000, number, function="nop", level="base")
        record.add("own pages", "pages", 100, number, function="nop", level="function")
    for count in (50, 100):
        labels = {"function": "nop", "functions": str(count)}
        record.add("memory of functions", "MB", count * 0.4, 0, **labels)
    return record


def made_arguments() -> Measurements:
    """A run in which resumed spares exactly the common part, but for a millisecond."""
    record = Measurements(arguments.NAME, dict(ENVIRONMENT), 1, 3)
    for number in range(3):
        for isolation in arguments.ISOLATIONS:
            for share in arguments.SHARES:
                labels = {"isolation": isolation, "share": f"{share:g}"}
                record.add("latency", "ms", 101, number, path="warm", **labels)
                rest = 100 * (1 - share) + 1
                record.add("latency", "ms", rest, number, path="resumed", **labels)
        for way in arguments.EXAMPLES:
            record.add("example", "ms", 200, number, way=way, path="warm")
            resumed = 40 if way == "vm" else 10
            record.add("example", "ms", resumed, number, way=way, path="resumed")
    return record


CASES = (
    (SNAPSHOTS, made_snapshots),
    (SHARING, made_sharing),
    (ARGUMENTS, made_arguments),
)


@pytest.mark.parametrize(("experiment", "make"), CASES)
def test_record_survives_the_disk(
    experiment: Experiment[Measurements], make: Callable[[], Measurements], tmp_path: pathlib.Path
) -> None:
    record = make()
    record.save(tmp_path)
    assert experiment.load(tmp_path) == record
    lines = (tmp_path / f"{experiment.name}.csv").read_text().splitlines()
    assert len(lines) == len(record.samples) + 1
    (tmp_path / f"{experiment.name}.json").write_text('{"experiment": "latency", "format": 1}')
    with pytest.raises(ValueError, match="no record of the"):
        experiment.load(tmp_path)


@pytest.mark.parametrize(("experiment", "make"), CASES)
def test_report_and_pictures(
    experiment: Experiment[Measurements], make: Callable[[], Measurements], tmp_path: pathlib.Path
) -> None:
    checks = experiment.write(make(), tmp_path)
    assert all(check.passed for check in checks)
    text = (tmp_path / experiment.report).read_text()
    assert text.splitlines()[0].endswith("(TCG)")
    assert "emulates the guest's processor" in text
    assert (tmp_path / f"{experiment.name}.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / f"{experiment.name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(("experiment", "make"), CASES)
def test_a_run_cut_off_at_once_is_reported(
    experiment: Experiment[Measurements], make: Callable[[], Measurements], tmp_path: pathlib.Path
) -> None:
    empty = make()
    empty.samples.clear()
    empty.unavailable["uc, js, AO"] = "no image"
    checks = experiment.write(empty, tmp_path)
    assert not any(check.passed for check in checks)
    assert "uc, js, AO: no image" in (tmp_path / experiment.report).read_text()


def _verdict(checks: Sequence[Check], promise: str) -> Check:
    return next(check for check in checks if check.promise.startswith(promise))


def test_snapshots_verdicts_and_papers_figures() -> None:
    record = made_snapshots()
    assert _verdict(snapshots_report.check(record), "NOP snapshot with AO").value == 0.5
    assert _verdict(snapshots_report.check(record), "NOP snapshot / base").value == 0.0125
    assert _verdict(snapshots_report.check(record), "base snapshot (vm, js").value == 4.0
    assert _verdict(snapshots_report.check(record), "NOP snapshot with network AO").value == 0.5
    text = snapshots_report.render(record)
    assert "| base snapshot size (Node.js; with AO) | uc, js, AO | 4.00 MB | 114.5 MB |" in text


def test_sharing_memory_beside_copies() -> None:
    record = made_sharing()
    check = _verdict(sharing_report.check(record), "memory of nop")
    assert check.value == pytest.approx(40 / (100 * 10_000 * 4096 / 1e6))
    assert "| nop | 100 | 40.00 | 400 |" in sharing_report.render(record)
    record.add("faults", "count", 1, 2, function="nop", path="hot", kind="protection")
    assert _verdict(sharing_report.check(record), "protection").passed is False


def test_gain_of_arguments() -> None:
    record = made_arguments()
    ratio = arguments_report.gain(record, "uc", 0.9)
    assert ratio is not None and ratio.value == pytest.approx(101 / 11)
    assert arguments_report.gain(record, "uc", 0.33) is None
    assert (
        "| vm, restored on demand | 200 (range 200 to 200, n = 3) | 40"
        in arguments_report.render(record)
    )
    check = _verdict(arguments_report.check(record), "warm / resumed, the example (vm")
    assert (check.value, check.passed) == (20, True)


def test_answers_of_the_function_with_a_point() -> None:
    state = 1
    for _ in range(7):
        state = state * 48_271 % (2**31 - 1)
    assert expected(3, 4) == expected(7, 0) == {"state": state}
