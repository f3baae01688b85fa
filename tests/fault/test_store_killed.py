"""A writer killed at any step leaves the old state or the new one, and a store that works."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapshot_store import Draft, SnapshotStore
from tests.fault.store_steps import ended, forked, interrupted_at, kill_at_every_step
from tests.unit.snapshot_store.drafts import as_dict, base_draft, function_draft


def ids(store: SnapshotStore) -> set[str]:
    return {manifest.id for manifest in store.list()}


class Scene:
    """A template of the old state, and a store that is put back to it for every kill."""

    def __init__(self, folder: Path) -> None:
        self.template = folder / "template"
        self.root = folder / "store"
        with SnapshotStore(self.template) as store:
            base = store.commit(base_draft())
            self.base = base.id
            self.child = store.commit(function_draft(base.id, label="old")).id
        self.old = {self.base, self.child}

    def restore(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.template, self.root)

    def prepared(self, work: Callable[[SnapshotStore], object]) -> Callable[[], object]:
        self.restore()
        return lambda: work(SnapshotStore(self.root))

    def assert_sound(self, store: SnapshotStore) -> None:
        assert list((self.root / "incoming").iterdir()) == []
        assert store.damaged() == {}
        directories = {path.name for path in (self.root / "snapshots").iterdir()}
        assert ids(store) == directories
        for each in directories:
            report = store.verify(each)
            assert report.ok, report.problems


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_commit_is_all_or_nothing(scene: Scene) -> None:
    draft = function_draft(scene.base, label="new")
    seen = set()

    def inspect(ended_itself: bool) -> None:
        with SnapshotStore(scene.root) as store:
            scene.assert_sound(store)
            new = ids(store) - scene.old
            assert ids(store) >= scene.old
            assert len(new) == 1 if ended_itself else len(new) <= 1
            seen.add(len(new))
            again = store.commit(draft)
            assert as_dict(again.pages()) == as_dict(draft.pages)
            assert ids(store) - scene.old == {again.id}
            assert new <= {again.id}
            scene.assert_sound(store)

    steps = kill_at_every_step(lambda: scene.prepared(lambda store: store.commit(draft)), inspect)
    assert seen == {0, 1}
    assert steps > 30


def test_deletion_takes_children_first(scene: Scene) -> None:
    seen = []

    def inspect(ended_itself: bool) -> None:
        with SnapshotStore(scene.root) as store:
            scene.assert_sound(store)
            left = ids(store)
            assert left in (scene.old, {scene.base}, set())
            assert not (ended_itself and left)
            seen.append(len(left))
            if left:
                store.delete(scene.base, recursive=True)
            assert ids(store) == set()

    kill_at_every_step(
        lambda: scene.prepared(lambda store: store.delete(scene.base, recursive=True)), inspect
    )
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {2, 1, 0}


def test_rebuilding_the_catalogue_loses_nothing(scene: Scene) -> None:
    def inspect(ended_itself: bool) -> None:
        with SnapshotStore(scene.root) as store:
            assert ids(store) == scene.old
            scene.assert_sound(store)

    kill_at_every_step(lambda: scene.prepared(lambda store: store.rebuild_catalogue()), inspect)


def test_store_being_created_can_be_created_again(scene: Scene) -> None:
    def prepare() -> Callable[[], object]:
        shutil.rmtree(scene.root, ignore_errors=True)
        return lambda: SnapshotStore(scene.root).commit(base_draft())

    def inspect(ended_itself: bool) -> None:
        with SnapshotStore(scene.root) as store:
            before = ids(store)
            again = store.commit(base_draft()).id
            assert before <= {again}
            assert ids(store) == {again}
            scene.assert_sound(store)

    kill_at_every_step(prepare, inspect)


def test_mending_a_damaged_snapshot_can_be_taken_up_again(scene: Scene) -> None:
    def prepare() -> Callable[[], object]:
        scene.restore()
        path = scene.root / "snapshots" / scene.base / "pages.bin"
        path.chmod(0o600)
        path.write_bytes(bytes(path.stat().st_size))
        return lambda: SnapshotStore(scene.root).commit(base_draft())

    def inspect(ended_itself: bool) -> None:
        with SnapshotStore(scene.root) as store:
            assert list((scene.root / "incoming").iterdir()) == []
            assert ids(store) == scene.old
            assert not ended_itself or store.verify(scene.base).ok
            assert store.commit(base_draft()).id == scene.base
            scene.assert_sound(store)

    kill_at_every_step(prepare, inspect)


def test_what_commit_returned_is_there_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    moments = random.Random(7)
    root = tmp_path / "store"
    with SnapshotStore(root) as store:
        base = store.commit(base_draft()).id
    told: set[str] = {base}

    for turn in range(12):
        reader, writer = os.pipe()

        def commit_on_and_on(turn: int = turn, writer: int = writer) -> None:
            with SnapshotStore(root) as store:
                for number in range(10_000):
                    draft: Draft = function_draft(base, label=f"{turn}-{number}")
                    os.write(writer, store.commit(draft).id.encode())

        child = forked(commit_on_and_on)
        os.close(writer)
        # The first answer shows that it is at work; then any moment will do.
        answers = os.read(reader, 16)
        time.sleep(moments.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        while more := os.read(reader, 1 << 16):
            answers += more
        os.close(reader)
        told |= {answers[i : i + 16].decode() for i in range(0, len(answers), 16)}
        with SnapshotStore(root) as store:
            assert told <= ids(store)
            assert list((root / "incoming").iterdir()) == []
    with SnapshotStore(root) as store:
        assert all(store.verify(each).ok for each in ids(store))


@contextmanager
def writer_stopped_halfway(scene: Scene) -> Iterator[int]:
    """A process that has stopped itself amid a commit; it is killed at the end."""
    for step in range(200):
        scene.restore()
        child = interrupted_at(
            step,
            signal.SIGSTOP,
            lambda: SnapshotStore(scene.root).commit(function_draft(scene.base, label="new")),
        )
        try:
            os.waitpid(child, os.WUNTRACED)
            if list((scene.root / "incoming").glob("*/pages.bin")):
                yield child
                return
        finally:
            # It has ended, but is not yet waited for, or it is still stopped.
            os.kill(child, signal.SIGKILL)
            ended(child)
    raise AssertionError("the writer never wrote aside")


def test_live_writer_is_spared(scene: Scene) -> None:
    with writer_stopped_halfway(scene) as child, SnapshotStore(scene.root) as store:
        assert len(list((scene.root / "incoming").iterdir())) == 1
        # The stopped writer holds up nobody else.
        other = store.commit(function_draft(scene.base, label="meanwhile")).id
        assert ids(store) == scene.old | {other}
        os.kill(child, signal.SIGCONT)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert len(ids(store)) == 4
        scene.assert_sound(store)


def test_dead_writer_is_collected(scene: Scene) -> None:
    with SnapshotStore(scene.root) as store, writer_stopped_halfway(scene):
        assert store.collect() == []
    (left,) = (scene.root / "incoming").iterdir()
    assert store.collect() == [left]
    with SnapshotStore(scene.root) as store:
        scene.assert_sound(store)
        assert ids(store) == scene.old


def test_parent_deleted_amid_the_commit_is_missed(scene: Scene) -> None:
    with writer_stopped_halfway(scene) as child, SnapshotStore(scene.root) as store:
        store.delete(scene.base, recursive=True)
        os.kill(child, signal.SIGCONT)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ids(store) == set()
        scene.assert_sound(store)
