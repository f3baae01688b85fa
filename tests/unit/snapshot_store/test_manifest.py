"""The manifest's encoding, and its reading of hostile input."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_store import Block, CorruptSnapshotError, Level, MismatchError
from snapshot_store.manifest import (
    FieldError,
    content_digest,
    encode,
    from_document,
    identify,
    is_id,
    parse,
    to_document,
    validated,
)
from tests.unit.snapshot_store.drafts import MANIFEST

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["vm", "base", "f" * 16, "f" * 64, "../" * 4]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)


@given(
    TEXT,
    TEXT,
    st.integers(0, 2**40),
    st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), TEXT),
)
def test_what_is_written_is_read(
    runtime: str, key: str, created: int, facts: dict[str, str]
) -> None:
    manifest = identify(replace(MANIFEST, runtime=runtime, key=key, created=created, facts=facts))
    assert parse(encode(manifest), manifest.id) == manifest


def test_every_flipped_bit_is_refused() -> None:
    raw = encode(MANIFEST)
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptSnapshotError):
            parse(bytes(flipped), MANIFEST.id)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptSnapshotError):
        parse(raw, MANIFEST.id)


@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    document = to_document(MANIFEST)
    target: object = document
    while True:
        assert isinstance(target, dict | list)
        keys = sorted(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(target[key], dict | list) and data.draw(st.booleans()):
            target = target[key]
        else:
            break
    target[key] = data.draw(JSON)
    try:
        manifest = from_document(document)
    except FieldError as error:
        assert len(str(error)) < 400
    else:
        assert to_document(manifest) == document


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"created":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"created":NaN}',
        b'{"created":1e999}',
        b'{"created":' + b"9" * 5000 + b"}",
        b'{"id":"a","id":"b"}',
        b'{"label":"\\ud800"}',
        b" " * ((1 << 20) + 1),
    ],
    ids=[
        "deep",
        "deep and closed",
        "nan",
        "infinite",
        "huge number",
        "doubled key",
        "surrogate",
        "too long",
    ],
)
def test_traps_of_json_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptSnapshotError):
        parse(raw, MANIFEST.id)


def test_other_spelling_of_the_same_json_is_refused() -> None:
    spaced = json.dumps(to_document(MANIFEST), sort_keys=True).encode()
    with pytest.raises(CorruptSnapshotError, match="canonical"):
        parse(spaced, MANIFEST.id)


@pytest.mark.parametrize(
    ("size", "packed", "reason"),
    [
        (0, 0, ""),
        (1 << 26, (9 << 23) + 64, ""),
        (5, 70, "too much for a state of 5 bytes"),
        (1 << 26, 1 << 40, "too much for a state"),
        ((1 << 26) + 1, 5, "state_size must be"),
    ],
)
def test_a_state_takes_no_more_memory_than_states_do(size: int, packed: int, reason: str) -> None:
    sums = dict(MANIFEST.checksums)
    sums["state.bin"] = replace(sums["state.bin"], size=packed)
    document = to_document(replace(MANIFEST, state_size=size, checksums=sums))
    if not reason:
        assert from_document(document).state_size == size
        return
    with pytest.raises(FieldError, match=reason):
        from_document(document)


def test_manifest_of_another_snapshot_is_refused() -> None:
    with pytest.raises(CorruptSnapshotError, match="its id"):
        parse(encode(MANIFEST), "f" * 16)


def test_other_format_version_is_refused_by_name() -> None:
    raw = b'{"format_version":1,"whatever":1}'
    with pytest.raises(MismatchError, match="format_version is 1 in the snapshot, 2 here"):
        parse(raw, hashlib.sha256(raw).hexdigest()[:16])
    with pytest.raises(CorruptSnapshotError, match="is damaged"):
        parse(raw, MANIFEST.id)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parent": "../../etc/passwd"}, "parent"),
        ({"parent": "0123456789abcdef\n"}, "parent"),
        ({"parent": "0123456789ABCDEF"}, "parent"),
        ({"image": "f" * 63}, "image"),
        ({"label": "\x1b[31m"}, "printable"),
        ({"label": "\ud800"}, "printable"),
        ({"runtime": ""}, "runtime"),
        ({"key": "k" * 1025}, "key"),
        ({"created": -1}, "created"),
        ({"ao": 1}, "ao"),
        ({"level": Level.BASE}, "a base has no parent"),
        ({"level": Level.FUNCTION}, "no key"),
        ({"key": None}, "an argument snapshot has"),
        ({"page_count": 4}, "pages.idx.size must be 64"),
        ({"stored_pages": 1}, "pages.bin.size must be 4096"),
        ({"blocks": ()}, "blocks"),
        ({"blocks": (Block("ram", 4096, 1),)}, "first_page"),
        ({"blocks": (Block("ram", 4096, 0),)}, "page_count"),
        ({"blocks": (Block("ram", 5000, 0),)}, "multiple"),
        ({"blocks": (Block("a", 8192, 0), Block("b", 8192, 1))}, "first_page"),
        ({"blocks": (Block("a", 8192, 0), Block("a", 8192, 2))}, "different names"),
        ({"facts": {"Machine": "microvm"}}, "facts"),
        ({"facts": {"a\nb": "microvm"}}, "facts"),
        ({"facts": {"machine": "two\nlines"}}, "facts.machine"),
    ],
)
def test_broken_rules_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        validated(replace(MANIFEST, **changes))  # type: ignore[arg-type]


def test_content_digest_leaves_out_only_id_and_time() -> None:
    later = identify(replace(MANIFEST, created=MANIFEST.created + 1))
    renamed = identify(replace(MANIFEST, label="other"))
    assert later.id != MANIFEST.id
    assert content_digest(later) == content_digest(MANIFEST)
    assert content_digest(renamed) != content_digest(MANIFEST)


@pytest.mark.parametrize(
    "text", ["", "..", "f" * 15, "f" * 17, "F" * 16, "g" * 16, "f" * 16 + "\n"]
)
def test_ids_are_safe_in_paths(text: str) -> None:
    assert not is_id(text)
    assert is_id("f" * 16)
