"""Verify finds every kind of damage, wherever it is."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot_store import Snapshot, SnapshotStore, VerifyReport
from tests.unit.snapshot_store.drafts import base_draft, function_draft

FILES = ["manifest.json", "pages.idx", "pages.bin", "state.bin"]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SnapshotStore, Snapshot]]:
    """A store with a base and a function snapshot on it; tests put back what they break."""
    with SnapshotStore(tmp_path_factory.mktemp("verify") / "store") as store:
        base = store.commit(base_draft())
        yield store, store.commit(function_draft(base.id))


def found(report: VerifyReport) -> set[tuple[str, str]]:
    return {(problem.snapshot, problem.file) for problem in report.problems}


def overwrite(path: Path, raw: bytes | bytearray) -> None:
    path.chmod(0o600)
    path.write_bytes(raw)


@settings(max_examples=300)
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.booleans())
def test_any_flipped_bit_is_found(
    grown: tuple[SnapshotStore, Snapshot], file: str, place: float, in_parent: bool
) -> None:
    store, child = grown
    broken = store.open(child.manifest.parent or "") if in_parent else child
    path = broken.path / file
    whole = path.read_bytes()
    flipped = bytearray(whole)
    bit = int(place * len(whole) * 8)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        overwrite(path, flipped)
        report = store.verify(child.id)
    finally:
        overwrite(path, whole)
    assert found(report) == {(broken.id, file)}
    assert store.verify(child.id).ok


@settings(max_examples=60)
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.binary(max_size=3))
def test_any_other_length_is_found(
    grown: tuple[SnapshotStore, Snapshot], file: str, part: float, more: bytes
) -> None:
    store, child = grown
    path = child.path / file
    whole = path.read_bytes()
    try:
        overwrite(path, whole + more if more else whole[: int(part * len(whole))])
        report = store.verify(child.id)
    finally:
        overwrite(path, whole)
    assert found(report) == {(child.id, file)}


@pytest.mark.parametrize("file", FILES)
def test_missing_and_replaced_files_are_found(
    grown: tuple[SnapshotStore, Snapshot], file: str, tmp_path: Path
) -> None:
    store, child = grown
    path = child.path / file
    path.rename(tmp_path / "kept")
    try:
        assert found(store.verify(child.id)) == {(child.id, file)}
        path.symlink_to(tmp_path / "kept")
        assert found(store.verify(child.id)) == {(child.id, file)}
        path.unlink()
        os.mkfifo(path)
        assert found(store.verify(child.id)) == {(child.id, file)}
    finally:
        path.unlink()
        (tmp_path / "kept").rename(path)
    assert store.verify(child.id).ok


def test_extra_file_is_found(grown: tuple[SnapshotStore, Snapshot]) -> None:
    store, child = grown
    extra = child.path / ".hidden"
    extra.write_text("")
    try:
        assert found(store.verify(child.id)) == {(child.id, ".hidden")}
    finally:
        extra.unlink()


def test_every_problem_is_reported_at_once(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    child = store.commit(function_draft(base.id))
    overwrite(child.path / "state.bin", b"")
    (child.path / "pages.idx").unlink()
    overwrite(base.path / "pages.bin", bytes((base.path / "pages.bin").stat().st_size))
    report = store.verify(child.id)
    assert found(report) == {
        (child.id, "state.bin"),
        (child.id, "pages.idx"),
        (base.id, "pages.bin"),
    }
    assert report.lineage == (child.id, base.id)
    assert any("pages 1, 2, 9, 70" in problem.reason for problem in report.problems)
    assert f"{child.id}/pages.idx: is missing" in map(str, report.problems)


def test_missing_parent_is_found(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    child = store.commit(function_draft(base.id))
    shutil.rmtree(base.path)
    (problem,) = store.verify(child.id).problems
    assert problem.snapshot == child.id
    assert f"its parent {base.id} is missing" in str(problem)


def test_snapshot_under_a_wrong_name_is_found(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    base.path.rename(base.path.with_name("f" * 16))
    (problem,) = store.verify("f" * 16).problems
    assert (problem.file, "its id" in problem.reason) == ("manifest.json", True)
