"""What the store promises its users."""

import gc
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot_store import (
    Branch,
    CorruptSnapshotError,
    HasChildrenError,
    InvalidDraftError,
    Level,
    MismatchError,
    PageSet,
    Snapshot,
    SnapshotStore,
    StoreError,
    UnknownSnapshotError,
)
from tests.unit.snapshot_store.drafts import (
    FACTS,
    FUNCTION,
    IMAGE,
    argument_draft,
    as_dict,
    base_draft,
    function_draft,
    page_set,
)


def grown(store: SnapshotStore) -> tuple[Snapshot, Snapshot, Snapshot]:
    """A base, a function snapshot on it, and an argument snapshot on that."""
    base = store.commit(base_draft())
    function = store.commit(function_draft(base.id))
    return base, function, store.commit(argument_draft(function.id, {1: 0, 4: 9}))


def flip(path: Path, offset: int = 0) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)


def test_what_is_committed_is_opened(store: SnapshotStore) -> None:
    before = int(time.time())
    draft = base_draft()
    snapshot = store.open(store.commit(draft).id, verify=True)
    manifest = snapshot.manifest
    assert as_dict(snapshot.pages()) == as_dict(draft.pages)
    assert snapshot.state() == draft.state
    assert manifest.blocks == draft.blocks
    assert manifest.facts == draft.facts
    assert (manifest.level, manifest.image, manifest.ao) == (Level.BASE, IMAGE, True)
    assert (manifest.page_count, manifest.stored_pages) == (5, 3)
    assert before <= manifest.created <= time.time()
    assert manifest.state_size == len(draft.state)
    packed = manifest.checksums["state.bin"].size
    assert manifest.stored_bytes == 5 * 16 + 3 * 4096 + packed


@settings(max_examples=25)
@given(st.dictionaries(st.integers(0, 79), st.integers(0, 6)), st.binary(max_size=100))
def test_any_pages_survive_the_disk(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[int, int], state: bytes
) -> None:
    with SnapshotStore(tmp_path_factory.mktemp("any") / "store") as store:
        snapshot = store.commit(base_draft(contents, state=state))
        assert as_dict(snapshot.pages()) == as_dict(page_set(contents))
        assert snapshot.state() == state
        assert store.verify(snapshot.id).ok


def test_another_process_sees_it(store: SnapshotStore) -> None:
    with SnapshotStore(store.root) as other:
        assert other.list() == []
        base, function, argument = grown(store)
        assert [manifest.id for manifest in other.list()] == sorted(
            (base.id, function.id, argument.id),
            key=lambda each: (store.open(each).manifest.created, each),
        )
        store.delete(argument.id)
        assert argument.id not in {manifest.id for manifest in other.list()}


def test_same_content_gives_the_same_snapshot(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.commit(base_draft())
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert store.commit(base_draft()).manifest == first.manifest
    assert store.commit(base_draft(label="other")).id != first.id
    assert len(store.list()) == 2


@pytest.mark.parametrize("file", ["manifest.json", "pages.idx", "pages.bin", "state.bin"])
def test_damaged_snapshot_is_healed_by_its_own_content(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    base, function, _ = grown(store)
    flip(base.path / file)
    assert not store.verify(function.id).ok
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert store.commit(base_draft()).manifest == base.manifest
    assert store.verify(function.id).ok
    assert list((store.root / "incoming").iterdir()) == []


def test_merged_pages_are_the_newest_of_the_lineage(store: SnapshotStore) -> None:
    base, function, argument = grown(store)
    assert [snapshot.id for snapshot in store.lineage(argument.id)] == [
        base.id,
        function.id,
        argument.id,
    ]
    expected = page_set({1: 0, 2: 0, 3: 0, 4: 9, 9: 8, 70: 5})
    assert as_dict(argument.merged_pages(verify=True)) == as_dict(expected)
    above = argument.merged_pages(above=base.id)
    assert as_dict(above) == as_dict(page_set({1: 0, 2: 0, 4: 9, 9: 8}))
    assert len(argument.merged_pages(above=argument.id)) == 0
    with pytest.raises(UnknownSnapshotError, match="not in the lineage"):
        base.merged_pages(above=function.id)


def test_page_data_is_mapped_and_cannot_be_written(store: SnapshotStore) -> None:
    snapshot = store.commit(base_draft({1: 1, 2: 2, 3: 3}))
    data = snapshot.pages().data
    assert data.base is not None
    with pytest.raises(ValueError, match="read-only"):
        data[0, 0] = 1


def test_open_snapshot_outlives_its_deletion(store: SnapshotStore) -> None:
    snapshot = store.commit(base_draft())
    store.delete(snapshot.id)
    assert as_dict(snapshot.pages()) == as_dict(base_draft().pages)
    assert snapshot.state() == base_draft().state


def test_opening_leaves_no_descriptor_behind(store: SnapshotStore) -> None:
    argument = grown(store)[2]

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()
    before = descriptors()
    for _ in range(20):
        snapshot = store.open(argument.id, verify=True)
        assert len(snapshot.merged_pages().data) == 6
        store.commit(argument_draft(snapshot.manifest.parent or "", {1: 0, 4: 9}))
        with pytest.raises(StoreError):
            store.open("f" * 16)
        with pytest.raises(StoreError):
            store.commit(base_draft(image="f"))
    del snapshot
    gc.collect()
    assert descriptors() == before


@pytest.mark.parametrize("bad", ["", "..", "../../etc", "f" * 15, "F" * 16, "f" * 16 + "/x"])
def test_ids_cannot_lead_out_of_the_store(store: SnapshotStore, bad: str) -> None:
    for use in (store.open, store.verify, store.delete, store.children, store.lineage):
        with pytest.raises(UnknownSnapshotError, match="no snapshot id"):
            use(bad)
    with pytest.raises(StoreError):
        store.commit(function_draft(bad))


def test_unknown_ids_are_named(store: SnapshotStore) -> None:
    missing = "0" * 16
    for use in (store.open, store.verify, store.delete, store.children, store.lineage):
        with pytest.raises(UnknownSnapshotError, match=missing):
            use(missing)
    with pytest.raises(UnknownSnapshotError, match=missing):
        store.commit(function_draft(missing))


def test_draft_must_fit_its_parent(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    with pytest.raises(MismatchError, match=r"facts\.qemu is 7\.2\.9 in the snapshot, 8\.0 here"):
        store.commit(function_draft(base.id, facts={**FACTS, "qemu": "8.0"}))
    assert [manifest.id for manifest in store.list()] == [base.id]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "not a hash"}, "image"),
        ({"pages": page_set({80: 1})}, "page 80, but its blocks end at page 80"),
        ({"function": FUNCTION}, "a base has no parent"),
        ({"label": "two\nlines"}, "printable"),
        ({"blocks": ()}, "blocks"),
    ],
)
def test_impossible_drafts_are_refused(
    store: SnapshotStore, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidDraftError, match=message):
        store.commit(replace(base_draft(), **changes))  # type: ignore[arg-type]
    assert store.list() == []
    assert list((store.root / "incoming").iterdir()) == []


def test_empty_delta_and_empty_state_are_snapshots_too(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    empty = store.commit(function_draft(base.id, {}, state=b""))
    assert len(empty.pages()) == 0
    assert empty.state() == b""
    assert as_dict(empty.merged_pages(verify=True)) == as_dict(base.pages())
    assert store.verify(empty.id).ok


def test_find_takes_every_field(store: SnapshotStore) -> None:
    base, function, argument = grown(store)
    plain = store.commit(base_draft({1: 1}, ao=False, facts={"machine": "q35"}))

    def found(**fields: object) -> set[str]:
        return {manifest.id for manifest in store.find(**fields)}  # type: ignore[arg-type]

    assert found() == {base.id, function.id, argument.id, plain.id}
    assert found(level=Level.BASE) == {base.id, plain.id}
    assert found(level=Level.BASE, ao=False) == {plain.id}
    assert found(function=FUNCTION) == {function.id, argument.id}
    assert found(key="model=small") == {argument.id}
    assert found(parent=base.id) == {function.id}
    assert found(image="f" * 64) == set()
    assert found(facts={"machine": "q35"}) == {plain.id}
    assert found(facts={"machine": "microvm", "cpu": "max"}, level=Level.BASE) == {base.id}
    assert found(facts={"unknown": ""}) == set()
    assert found(function="' OR 1=1 --") == set()


def test_newest_is_found_first(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (30, 10, 20):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        made.append(store.commit(base_draft(label=f"at {moment}")).id)
    assert [manifest.id for manifest in store.find()] == [made[0], made[2], made[1]]
    assert [manifest.id for manifest in store.list()] == [made[1], made[2], made[0]]


def test_tree_follows_parents(store: SnapshotStore) -> None:
    base, function, argument = grown(store)
    sibling = store.commit(function_draft(base.id, {5: 5}, label="other"))

    def shape(branch: Branch) -> tuple[str, set[object]]:
        return branch.manifest.id, {str(shape(child)) for child in branch.children}

    (root,) = store.tree()
    assert root.manifest.id == base.id
    below = {child.manifest.id: child for child in root.children}
    assert below.keys() == {function.id, sibling.id}
    assert [child.manifest.id for child in below[function.id].children] == [argument.id]
    assert below[sibling.id].children == ()
    assert {each.id for each in store.children(base.id)} == {function.id, sibling.id}
    assert store.children(argument.id) == []


def test_parent_is_not_deleted_under_its_children(store: SnapshotStore) -> None:
    base, function, argument = grown(store)
    for parent, child in ((base, function), (function, argument)):
        with pytest.raises(HasChildrenError, match=child.id) as error:
            store.delete(parent.id)
        assert error.value.children == (child.id,)
    assert len(store.list()) == 3
    assert store.delete(argument.id) == (argument.id,)
    assert store.delete(base.id, recursive=True) == (function.id, base.id)
    assert store.list() == []
    assert list((store.root / "snapshots").iterdir()) == []


def test_recursive_deletion_spares_the_rest(store: SnapshotStore) -> None:
    base, function, argument = grown(store)
    sibling = store.commit(function_draft(base.id, {5: 5}))
    assert set(store.delete(function.id, recursive=True)) == {function.id, argument.id}
    assert {manifest.id for manifest in store.list()} == {base.id, sibling.id}


def test_a_store_that_nobody_changed_is_not_listed_again(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, function, _ = grown(store)
    long_ago = time.time_ns() - 10**10
    os.utime(base.path.parent, ns=(long_ago, long_ago))
    looks: list[Path] = []
    iterdir = Path.iterdir

    def noted(path: Path) -> Iterator[Path]:
        looks.append(path)
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", noted)
    for _ in range(3):
        assert [each.id for each in store.find(level=Level.FUNCTION)] == [function.id]
    assert looks == [base.path.parent]
    with SnapshotStore(store.root) as other:
        sibling = other.commit(function_draft(base.id, {5: 5}))
    found = {each.id for each in store.find(level=Level.FUNCTION)}
    assert found == {function.id, sibling.id}
    # One that another deleted is gone at once, even where the time is too coarse to tell.
    with SnapshotStore(store.root) as other:
        other.delete(sibling.id)
    assert [each.id for each in store.find(level=Level.FUNCTION)] == [function.id]


def test_damaged_snapshots_are_told_and_can_be_deleted(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    flip(base.path / "manifest.json")
    with SnapshotStore(store.root) as other:
        other.rebuild_catalogue()
        assert other.list() == []
        assert base.id in other.damaged()
        with pytest.raises(CorruptSnapshotError, match=base.id):
            other.open(base.id)
        assert other.delete(base.id) == (base.id,)
        assert other.damaged() == {}


def test_missing_parent_is_named(store: SnapshotStore) -> None:
    base, function, argument = grown(store)
    for file in base.path.iterdir():
        file.unlink()
    base.path.rmdir()
    with pytest.raises(CorruptSnapshotError, match=f"{base.id}, the parent of {function.id}"):
        store.lineage(argument.id)
    assert [branch.manifest.id for branch in store.tree()] == [function.id]


@pytest.mark.parametrize("file", ["manifest.json", "pages.idx", "state.bin"])
def test_opening_checks_the_small_files(store: SnapshotStore, file: str) -> None:
    base = store.commit(base_draft())
    flip(base.path / file, 20)
    with pytest.raises(CorruptSnapshotError, match=file):
        store.open(base.id)


def test_opening_checks_page_bytes_when_asked(store: SnapshotStore) -> None:
    base, function, _ = grown(store)
    flip(base.path / "pages.bin", 5000)
    store.open(base.id)
    with pytest.raises(CorruptSnapshotError, match=r"pages\.bin"):
        store.open(base.id, verify=True)
    with pytest.raises(CorruptSnapshotError, match=base.id):
        store.open(function.id).merged_pages(verify=True)


@pytest.mark.parametrize("file", ["manifest.json", "pages.idx", "pages.bin", "state.bin"])
def test_links_and_pipes_are_not_followed(store: SnapshotStore, file: str) -> None:
    base = store.commit(base_draft())
    path = base.path / file
    away = path.rename(store.root / "elsewhere")
    path.symlink_to(away)
    with pytest.raises(CorruptSnapshotError):
        store.open(base.id)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptSnapshotError, match="not a file"):
        store.open(base.id)


def test_linked_directory_is_no_snapshot(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    away = base.path.rename(store.root / "elsewhere")
    base.path.symlink_to(away)
    with pytest.raises(CorruptSnapshotError):
        store.open(base.id)
    assert store.delete(base.id) == (base.id,)
    assert away.is_dir()


def test_threads_share_a_store(store: SnapshotStore) -> None:
    base = store.commit(base_draft())

    def work(number: int) -> str:
        snapshot = store.commit(function_draft(base.id, {number % 4: 1}, label=str(number % 4)))
        assert snapshot.id in {manifest.id for manifest in store.find(parent=base.id)}
        return snapshot.id

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(work, range(16)))
    assert len(set(ids)) == 4
    assert {manifest.id for manifest in store.children(base.id)} == set(ids)


def test_store_is_for_its_owner_only(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    for path in (store.root, base.path):
        assert path.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o277 == 0 for file in base.path.iterdir())


def test_unusable_root_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="SEUSS_STORE"):
        SnapshotStore(tmp_path / "file")


def test_full_snapshot_may_stand_alone_at_any_level(store: SnapshotStore) -> None:
    whole = store.commit(replace(function_draft("0" * 16), parent=None))
    assert as_dict(whole.merged_pages()) == as_dict(whole.pages())
    assert [branch.manifest.id for branch in store.tree()] == [whole.id]


def test_merged_pages_can_be_committed(store: SnapshotStore) -> None:
    _, _, argument = grown(store)
    pages: PageSet = argument.merged_pages()
    flat = store.commit(replace(argument_draft("0" * 16, {}), parent=None, pages=pages))
    assert as_dict(flat.pages()) == as_dict(pages)


def test_plan_knows_the_id_and_writes_nothing(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    before = sorted(store.root.rglob("*"))
    plan = store.plan(function_draft(base.id))
    assert sorted(store.root.rglob("*")) == before
    stored = store.carry_out(plan)
    assert stored.id == plan.id
    assert stored.manifest == plan.manifest
    assert store.verify(plan.id).ok


def test_plan_of_what_is_stored_has_its_id(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store.commit(base_draft())
    monkeypatch.setattr(time, "time", lambda: stored.manifest.created + 60.0)
    plan = store.plan(base_draft())
    assert plan.id == stored.id
    flip(stored.path / "pages.bin")
    assert store.carry_out(plan).id == stored.id
    assert store.verify(stored.id).ok


def test_plan_overtaken_by_the_same_content_gives_that_snapshot(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = store.plan(base_draft())
    monkeypatch.setattr(time, "time", lambda: plan.manifest.created + 60.0)
    stored = store.commit(base_draft())
    assert stored.id != plan.id
    assert store.carry_out(plan).id == stored.id
    assert [manifest.id for manifest in store.list()] == [stored.id]


def test_plan_whose_parent_is_gone_is_refused(store: SnapshotStore) -> None:
    base = store.commit(base_draft())
    plan = store.plan(function_draft(base.id))
    store.delete(base.id)
    with pytest.raises(UnknownSnapshotError, match=base.id):
        store.carry_out(plan)
    with pytest.raises(UnknownSnapshotError, match=base.id):
        store.plan(function_draft(base.id))
    assert list((store.root / "incoming").iterdir()) == []


def test_one_has_its_turn_to_take_a_base(store: SnapshotStore) -> None:
    with SnapshotStore(store.root) as other:
        with store.base_turn() as mine, other.base_turn() as theirs:
            assert mine and not theirs
            # Everything else goes on meanwhile.
            assert other.commit(base_draft()).id
        with other.base_turn() as theirs:
            assert theirs
        with pytest.raises(OSError, match="of the body"), store.base_turn():
            raise OSError("of the body")
        with other.base_turn() as theirs:
            assert theirs
