"""Whether a snapshot fits: an image and a machine, or the parent it is to be built on."""

from collections.abc import Iterable, Mapping
from typing import Final

from snapshot_store.errors import Difference, MismatchError
from snapshot_store.model import Block, Draft, Level, Manifest

_ABSENT: Final = "absent"
_RANK: Final = {Level.BASE: 0, Level.FUNCTION: 1, Level.ARGUMENT: 2}


def check(
    manifest: Manifest, *, image: str | None = None, facts: Mapping[str, str] | None = None
) -> None:
    """Make sure that a snapshot can be restored with this image on this machine.

    Args:
        manifest: the snapshot's.
        image: SHA-256 of the image at hand; None leaves it unchecked.
        facts: the facts at hand; None leaves them unchecked. A fact that only one side knows
            is a difference.

    Raises:
        MismatchError: names every field that differs, with both values.
    """
    differences = []
    if image is not None and image != manifest.image:
        differences.append(Difference("image", manifest.image, image))
    if facts is not None:
        differences.extend(_fact_differences(manifest.facts, facts))
    if differences:
        raise MismatchError(manifest.id, differences)


def check_child(parent: Manifest, child: Draft | Manifest) -> None:
    """Make sure that `child` can be a delta of `parent`.

    Raises:
        MismatchError: names every field in which they do not fit; `stored` is the parent's.
    """
    differences = [
        Difference(name, str(stored), str(wanted))
        for name, stored, wanted in (
            ("image", parent.image, child.image),
            ("depth", parent.depth, child.depth),
            ("runtime", parent.runtime, child.runtime),
            ("ao", parent.ao, child.ao),
            ("blocks", _describe(parent.blocks), _describe(child.blocks)),
        )
        if stored != wanted
    ]
    if _RANK[child.level] < _RANK[parent.level] or child.level is parent.level is Level.FUNCTION:
        differences.append(Difference("level", parent.level, child.level))
    if parent.function is not None and parent.function != child.function:
        differences.append(Difference("function", parent.function, str(child.function)))
    differences.extend(_fact_differences(parent.facts, child.facts))
    if differences:
        raise MismatchError(parent.id, differences)


def _fact_differences(stored: Mapping[str, str], wanted: Mapping[str, str]) -> Iterable[Difference]:
    for name in sorted(stored.keys() | wanted.keys()):
        ours, theirs = stored.get(name, _ABSENT), wanted.get(name, _ABSENT)
        if (name in stored) != (name in wanted) or ours != theirs:
            yield Difference(f"facts.{name}", ours, theirs)


def _describe(blocks: tuple[Block, ...]) -> str:
    return ", ".join(f"{block.name}:{block.size}" for block in blocks)
