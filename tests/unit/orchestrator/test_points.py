"""How a call's arguments are split at a snapshot point, and what is believed of names."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import points
from orchestrator.function import Function
from orchestrator.points import Points, at_point, names_of, split, told_names
from orchestrator.wire import MAX_PAYLOAD, Frame, MessageType

FUNCTION = Function("f", "source", b"import seuss\ndef main(a): return seuss.snapshot_point('m')")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.sampled_from("abcd"), JSON)
NAMES = st.sets(st.sampled_from("abcd")).map(lambda names: tuple(sorted(names)))


def key(names: tuple[str, ...], args: dict[str, Any]) -> str:
    named = split(FUNCTION, names, args)
    assert named is not None
    return named.key


@given(NAMES, ARGUMENTS)
def test_both_parts_make_the_whole(names: tuple[str, ...], args: dict[str, Any]) -> None:
    named = split(FUNCTION, names, args)
    assert named is not None
    told, rest = json.loads(named.begin), json.loads(named.rest)
    assert told["names"] == [*names] and told["args"].keys() <= {*names}
    assert [*rest] == [*args]
    assert {name: told["args"].get(name, rest[name]) for name in rest} == args
    # Nothing goes ahead of the point that it does not name.
    assert all(rest[name] is None for name in told["args"])
    assert names_of(named.key) == names


@given(NAMES, ARGUMENTS, ARGUMENTS)
def test_the_key_is_of_the_named_values(
    names: tuple[str, ...], one: dict[str, Any], other: dict[str, Any]
) -> None:
    texts = [
        json.dumps({name: args[name] for name in names if name in args}) for args in (one, other)
    ]
    assert (key(names, one) == key(names, other)) == (texts[0] == texts[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0.0, -0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ("", None)],
)
def test_what_a_function_can_tell_apart_has_keys_of_its_own(one: object, other: object) -> None:
    assert key(("m",), {"m": one}) != key(("m",), {"m": other})
    assert key(("m",), {"m": None}) != key(("m",), {})
    assert key(("m",), {"m": one, "q": 1}) == key(("m",), {"q": 2, "m": one})


def test_arguments_that_do_not_fit_are_not_split() -> None:
    assert split(FUNCTION, ("m",), {"m": "x" * (MAX_PAYLOAD - 20)}) is None
    assert split(FUNCTION, ("m",), {"q": "x" * (MAX_PAYLOAD - 20)}) is not None


def test_a_call_pays_for_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    def label(name: str, values: object) -> str:
        raise AssertionError("nobody asked for it")

    monkeypatch.setattr(points, "_label", label)
    assert split(FUNCTION, ("m",), {"m": 1}) is not None


def test_labels_are_short_and_printable() -> None:
    named = split(FUNCTION, ("m", "n"), {"m": "two\nlines", "n": ["x" * 500]})
    assert named is not None
    assert named.label.startswith('f(m="two\\nlines", n=["xxx') and named.label.endswith("...)")
    assert len(named.label) <= points.LONGEST_LABEL and named.label.isprintable()


@pytest.mark.parametrize(
    "told",
    [
        None,
        "a",
        {"a": 1},
        [1],
        ["b", "a"],
        ["a", "a"],
        ["a", None],
        ["x" * 600],
        [*map(str, range(99))],
    ],
)
def test_a_guest_cannot_make_believe_other_than_names(told: object) -> None:
    assert told_names(told) is None


def test_names_are_believed() -> None:
    assert told_names([]) == () and told_names(["a", "b"]) == ("a", "b")
    for damaged in ("", ":", "nonsense", '["a"', '[["a"]]:00', "[" * 5000):
        assert names_of(damaged) is None


def test_only_an_answer_that_says_so_is_at_the_point() -> None:
    assert at_point(Frame(MessageType.POINT, b'{"names":["m"],"reached":true}'))
    assert not at_point(Frame(MessageType.POINT, b'{"names":["m"],"reached":false}'))
    assert not at_point(Frame(MessageType.POINT, b"nonsense"))
    assert not at_point(Frame(MessageType.RESULT, b'{"reached":true}'))
    assert not at_point(None)


def test_functions_that_mention_no_point_are_known_to_have_none() -> None:
    known = Points()
    plain = Function("f", "source", b"def main(args): return {}")
    assert known.knows(plain) and known.names(plain) is None
    assert not known.knows(FUNCTION) and known.names(FUNCTION) is None
    known.learn(FUNCTION.id, ("m",))
    assert known.knows(FUNCTION) and known.names(FUNCTION) == ("m",)


def test_the_functions_used_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "MOST_KNOWN", 2)
    known = Points()
    for name in "abac":
        known.learn(name, ())
    known.learn(FUNCTION.id, ())
    assert known.names(FUNCTION) == () and len(known._names) == 2


@pytest.mark.parametrize(
    ("code", "mentioned"),
    [
        (b"import seuss\nseuss.snapshot_point('a')", True),
        (b"pass", False),
        (b"#" * (2 << 20), True),
    ],
)
def test_zips_are_looked_into(code: bytes, mentioned: bool) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", code)
        archive.writestr("other.py", "snapshot_point")
    assert Function("f", "zip", buffer.getvalue()).mentions_point == mentioned
