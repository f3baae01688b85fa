"""The promises: verdicts follow from the samples."""

from __future__ import annotations

from dataclasses import replace

from experiments.recording import DiskCost, Recording, Size
from experiments.requirements import check


def verdicts(recording: Recording) -> dict[str, bool | None]:
    return {item.promise: item.passed for item in check(recording)}


def test_all_promises_kept(recording: Recording) -> None:
    assert set(verdicts(recording).values()) == {True}


def test_ratio_is_computed_from_medians(recording: Recording) -> None:
    warm = check(recording)[0]
    assert warm.value == 21.5 / 1001.5


def test_slow_warm_start_fails(recording: Recording) -> None:
    slow = [
        replace(sample, latency_ms=150.0) if sample.cell.path == "warm" else sample
        for sample in recording.samples
    ]
    found = verdicts(replace(recording, samples=slow))
    assert found["warm NOP / booted NOP"] is False
    assert found["cold NOP / booted NOP"] is True


def test_slow_restore_fails(recording: Recording) -> None:
    slow = [replace(sample, phases={"restore": 11.0}) for sample in recording.samples]
    assert verdicts(replace(recording, samples=slow))["restore step, warm NOP, median"] is False


def test_large_snapshots_fail(recording: Recording) -> None:
    large = [
        Size("base", None, True, 10_000, 41_500_000),
        Size("function", "nop", True, 300, 1_300_000),
    ]
    found = verdicts(replace(recording, sizes=large))
    assert found["base snapshot, stored pages"] is False
    assert found["NOP function snapshot"] is False


def test_disk_that_holds_copies_fails(recording: Recording) -> None:
    copied = DiskCost(100, 21_000_000, 2_145_000_000, 45_000_000, 2_145_000_000)
    name = "disk of 100 functions / (base + 100 deltas)"
    assert verdicts(replace(recording, disk=copied))[name] is False


def test_javascript_is_judged_beside_python(recording: Recording) -> None:
    slow = [
        replace(sample, latency_ms=60.0) if sample.cell.function == "nop_js" else sample
        for sample in recording.samples
    ]
    large = [replace(size, stored_bytes=4_200_000) for size in recording.sizes]
    found = verdicts(replace(recording, samples=slow, sizes=large))
    broken = {
        promise for promise, passed in found.items() if "JavaScript" in promise and not passed
    }
    assert len(broken) == 7
    assert all(passed for promise, passed in found.items() if "NOP (uc) / native" in promise)


def test_empty_record_is_not_judged() -> None:
    empty = Recording(environment={}, seed=0, rounds=30, quick=False)
    assert set(verdicts(empty).values()) == {None}
