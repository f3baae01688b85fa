"""Which snapshots stay on disk, and which go first."""

from __future__ import annotations

import hashlib
import pathlib
import time
from collections.abc import Iterator

import numpy as np
import pytest

from orchestrator.platform import budget as budgets
from orchestrator.platform.budget import Budget, Uses
from orchestrator.platform.database import Database
from orchestrator.platform.platform import Platform
from orchestrator.platform.policies import Policies
from snapshot_store import PAGE_SIZE, Block, Depth, Draft, Level, PageSet, SnapshotStore
from tests.unit.orchestrator.platform.fakes import Fakes, echo, fake_settings, until

IMAGE = hashlib.sha256(b"image").hexdigest()


def draft(
    label: str, parent: str | None = None, pages: int = 4, level: Level | None = None
) -> Draft:
    numbers = np.arange(pages, dtype=np.uint64)
    data = np.full((pages, PAGE_SIZE), 1 + hash(label) % 250, np.uint8)
    data[:, :4] = np.arange(pages, dtype=np.uint32)[:, None].view(np.uint8)
    level = level or (Level.BASE if parent is None else Level.FUNCTION)
    return Draft(
        depth=Depth.UC,
        level=level,
        image=IMAGE,
        runtime="python",
        blocks=(Block("uc", 4096 * PAGE_SIZE, 0),),
        pages=PageSet(numbers, data),
        state=label.encode(),
        parent=parent,
        function=None if level is Level.BASE else hashlib.sha256(label[:1].encode()).hexdigest(),
        key="{}" if level is Level.ARGUMENT else None,
        label=label,
        facts={"cpu": "any"},
    )


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[SnapshotStore]:
    with SnapshotStore(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def uses(database: Database) -> Uses:
    return Uses(database)


def here() -> frozenset[str]:
    """The images in use."""
    return frozenset({IMAGE})


def size(store: SnapshotStore) -> int:
    return sum(manifest.stored_bytes for manifest in store.list())


def labels(store: SnapshotStore) -> set[str]:
    return {manifest.label for manifest in store.list()}


def test_within_the_budget_nothing_goes(store: SnapshotStore, uses: Uses) -> None:
    base = store.commit(draft("base"))
    store.commit(draft("f", base.id))
    assert Budget(store, uses, size(store), here).keep() == ()
    assert labels(store) == {"base", "f"}


def test_the_least_used_for_their_size_go_first(store: SnapshotStore, uses: Uses) -> None:
    base = store.commit(draft("base"))
    ids = {name: store.commit(draft(name, base.id)).id for name in ("often", "once", "twice")}
    ids["large"] = store.commit(draft("large", base.id, pages=40)).id
    for name, count in (("often", 9), ("twice", 2), ("large", 9)):
        for _ in range(count):
            uses.note(ids[name])
    uses.write()
    one = store.open(ids["once"]).manifest.stored_bytes
    # Nine uses of ten times the bytes are worth less than one of one.
    assert Budget(store, uses, size(store) - 1, here).keep() == (ids["large"],)
    assert ids["large"] not in uses.all() and ids["often"] in uses.all()
    assert Budget(store, uses, size(store) - one, here).keep() == (
        ids["once"],
        ids["twice"],
    )
    assert labels(store) == {"base", "often"}


def test_what_others_are_built_on_goes_after_them(store: SnapshotStore, uses: Uses) -> None:
    base = store.commit(draft("base"))
    function = store.commit(draft("f", base.id))
    argument = store.commit(draft("f at a point", function.id, level=Level.ARGUMENT))
    other = store.commit(draft("g", base.id))
    for id in (argument.id, argument.id, other.id, other.id, other.id):
        uses.note(id)
    uses.write()
    assert Budget(store, uses, 0, here).keep() == (
        argument.id,
        function.id,
        other.id,
    )
    assert labels(store) == {"base"}


def test_bases_of_other_images_can_go(store: SnapshotStore, uses: Uses) -> None:
    base = store.commit(draft("base"))
    assert Budget(store, uses, 0, lambda: None).keep() == ()
    assert Budget(store, uses, 0, here).keep() == ()
    assert Budget(store, uses, 0, lambda: frozenset({"another"})).keep() == (base.id,)


def test_old_uses_count_less(
    store: SnapshotStore, uses: Uses, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = store.commit(draft("base"))
    old, new = (store.commit(draft(name, base.id)).id for name in ("old", "new"))
    for _ in range(3):
        uses.note(old)
    uses.write()
    later = time.time() + 4 * budgets.HALF_LIFE_S
    monkeypatch.setattr(time, "time", lambda: later)
    uses.note(new)
    uses.write()
    assert Budget(store, uses, size(store) - 1, here).keep() == (old,)
    uses.note(new)
    uses.write()
    assert uses.all()[new] == (2.0, later)


async def test_a_platform_keeps_its_budget(tmp_path: pathlib.Path, fakes: Fakes) -> None:
    settings = fake_settings(tmp_path)
    with SnapshotStore(settings.store) as store:
        base = store.commit(draft("base"))
        for name in ("f", "g"):
            store.commit(draft(name, base.id))
        policies = Policies(snapshot_budget=base.manifest.stored_bytes)
        async with Platform(settings, policies, make=fakes.make) as platform:
            platform.registry.put(echo())
            await platform.invoke("echo", {})
            await until(lambda: labels(store) == {"base"})


def test_what_others_deleted_is_forgotten(
    store: SnapshotStore, uses: Uses, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, deleted = (store.commit(draft(label)).manifest.id for label in ("a", "b"))
    for snapshot in (kept, deleted, "not yet stored"):
        uses.note(snapshot)
    uses.write()
    store.delete(deleted)
    budget = Budget(store, uses, 1 << 30, here)
    assert budget.keep() == () and {*uses.all()} == {kept, deleted, "not yet stored"}
    monkeypatch.setattr(budgets, "FORGOTTEN_S", -1.0)
    assert budget.keep() == () and {*uses.all()} == {kept}
