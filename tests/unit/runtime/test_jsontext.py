"""The runner's JSON beside the standard library's."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seuss_runner.jsontext import decode, encode, find_fault

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text()
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
SPACE = st.text(" \t\r\n", max_size=3)


@given(VALUES, SPACE, SPACE)
def test_decode_agrees_with_the_library(value: Any, before: str, after: str) -> None:
    text = before + json.dumps(value) + after
    assert decode(text.encode()) == json.loads(text)


@given(VALUES)
def test_encode_agrees_with_the_library(value: Any) -> None:
    assert encode(value) == json.dumps(value, separators=(",", ":"))


@given(VALUES)
def test_there_is_no_fault_in_what_can_be_encoded(value: Any) -> None:
    assert find_fault(value) is None


@given(st.binary() | st.text().map(str.encode))
def test_decode_takes_what_the_library_takes(data: bytes) -> None:
    try:
        expected = json.loads(data.decode(), parse_constant=pytest.fail)
    except (ValueError, pytest.fail.Exception):
        with pytest.raises(ValueError, match=r"\w"):
            decode(data)
    else:
        assert decode(data) == expected


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (float("nan"), "result is nan"),
        ({"a": [1, float("inf")]}, "result['a'][1] is inf"),
        ({"a": ({"b": b"x"},)}, "result['a'][0]['b'] is of type bytes"),
        ({b"k": 1}, "result has a key of type bytes"),
        (object, "result is of type type"),
    ],
)
def test_a_fault_is_found_where_it_is(value: object, fault: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        encode(value)
    assert str(raised.value).startswith(fault)


def test_what_occurs_twice_is_no_cycle() -> None:
    part = [1]
    assert encode({"a": part, "b": [part, part]}) == '{"a":[1],"b":[[1],[1]]}'


def test_a_cycle_is_named() -> None:
    value: dict[str, object] = {}
    value["list"] = [value]
    with pytest.raises(ValueError, match=r"result\['list'\]\[0\] contains itself"):
        encode(value)


def test_depth_is_bounded_both_ways() -> None:
    depth = sys.getrecursionlimit() + 100
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(ValueError, match="levels deep"):
        encode(value)
    with pytest.raises(ValueError, match="too deeply"):
        decode(b"[" * depth)
