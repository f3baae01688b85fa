"""Refusals name what differs."""

from dataclasses import replace

import pytest

from snapshot_store import Block, Depth, Level, MismatchError, check
from snapshot_store.compatibility import check_child
from tests.unit.snapshot_store.drafts import (
    FACTS,
    FUNCTION,
    IMAGE,
    MANIFEST,
    base_draft,
    function_draft,
)

BASE = replace(MANIFEST, level=Level.BASE, parent=None, function=None, key=None)
CHILD = function_draft(BASE.id)


def fields(error: pytest.ExceptionInfo[MismatchError]) -> set[str]:
    return {difference.field for difference in error.value.differences}


def test_what_fits_is_let_through() -> None:
    check(MANIFEST, image=IMAGE, facts=FACTS)
    check(MANIFEST)
    check_child(BASE, CHILD)
    check_child(replace(BASE, level=Level.FUNCTION, function=FUNCTION), MANIFEST)
    check_child(MANIFEST, MANIFEST)


def test_every_difference_is_named_with_both_values() -> None:
    known = {"machine": "q35", "accelerator": "tcg", "cpu": "max", "kernel": "6.1"}
    with pytest.raises(MismatchError) as error:
        check(MANIFEST, image="f" * 64, facts=known)
    assert fields(error) == {"image", "facts.machine", "facts.qemu", "facts.kernel"}
    text = str(error.value)
    assert f"image is {IMAGE} in the snapshot, {'f' * 64} here" in text
    assert "facts.machine is microvm in the snapshot, q35 here" in text
    assert "facts.qemu is 7.2.9 in the snapshot, absent here" in text
    assert "facts.kernel is absent in the snapshot, 6.1 here" in text


def test_absent_fact_differs_from_one_of_that_name() -> None:
    with pytest.raises(MismatchError):
        check(MANIFEST, facts={**FACTS, "qemu": "absent"})
    with pytest.raises(MismatchError, match=r"facts\.extra"):
        check(MANIFEST, facts={**FACTS, "extra": "absent"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"image": "f" * 64}, "image"),
        ({"depth": Depth.UC}, "depth"),
        ({"runtime": "node"}, "runtime"),
        ({"ao": False}, "ao"),
        ({"blocks": (Block("microvm.ram", 8192, 0),)}, "blocks"),
        ({"facts": {}}, "facts.cpu"),
    ],
)
def test_child_must_fit_its_parent(changes: dict[str, object], field: str) -> None:
    with pytest.raises(MismatchError) as error:
        check_child(BASE, replace(CHILD, **changes))  # type: ignore[arg-type]
    assert field in fields(error)


def test_levels_only_go_down() -> None:
    function = replace(BASE, level=Level.FUNCTION, function=FUNCTION)
    for parent, child in (
        (function, CHILD),
        (function, base_draft()),
        (MANIFEST, CHILD),
    ):
        with pytest.raises(MismatchError) as error:
            check_child(parent, child)
        assert "level" in fields(error)


def test_function_of_the_parent_is_kept() -> None:
    function = replace(BASE, level=Level.FUNCTION, function="c" * 64)
    with pytest.raises(MismatchError) as error:
        check_child(function, MANIFEST)
    assert fields(error) == {"function"}
