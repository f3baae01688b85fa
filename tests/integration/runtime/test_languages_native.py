"""One function in two languages gives equal answers, whatever its arguments."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tests.integration.runtime.native_runner import JAVASCRIPT, NativeRunner

# Walks any JSON value: what it is, how deep, its numbers' sum, its texts turned and counted. Keys
# go in the order of their UTF-16: as they come, JavaScript has those that look like numbers first.
PYTHON_CODE = """\
def walk(value, depth, seen):
    seen["deepest"] = max(seen["deepest"], depth)
    if value is None or isinstance(value, bool):
        seen["constants"].append(value)
        return value
    if isinstance(value, (int, float)):
        seen["sum"] += value
        return -value / 2
    if isinstance(value, str):
        for letter in value:
            seen["letters"][letter] = seen["letters"].get(letter, 0) + 1
        return value[::-1]
    if isinstance(value, list):
        return [walk(each, depth + 1, seen) for each in reversed(value)]
    return {key + "'": walk(each, depth + 1, seen) for key, each in items(value)}


def items(value):
    return sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))


def main(args):
    seen = {"deepest": 0, "constants": [], "sum": 0, "letters": {}}
    return {"turned": walk(args, 0, seen), "seen": seen}
"""
JAVASCRIPT_CODE = """\
const walk = (value, depth, seen) => {
  seen.deepest = Math.max(seen.deepest, depth);
  if (value === null || typeof value === "boolean") {
    seen.constants.push(value);
    return value;
  }
  if (typeof value === "number") {
    seen.sum += value;
    return -value / 2;
  }
  if (typeof value === "string") {
    for (const letter of value)
      Object.defineProperty(seen.letters, letter,
        {value: (Object.hasOwn(seen.letters, letter) ? seen.letters[letter] : 0) + 1,
          enumerable: true, configurable: true});
    return [...value].reverse().join("");
  }
  if (Array.isArray(value)) return value.toReversed().map((each) => walk(each, depth + 1, seen));
  return Object.fromEntries(
    Object.keys(value).sort().map((key) => [key + "'", walk(value[key], depth + 1, seen)]));
};

function main(args) {
  const seen = {deepest: 0, constants: [], sum: 0, letters: {}};
  return {turned: walk(args, 0, seen), seen};
}
"""
INPUTS = 500
# Whole numbers beyond 2**53 are numbers of another kind in Python, and so are no shared input.
NUMBERS = st.integers(-(2**50), 2**50) | st.floats(-1e12, 1e12).map(lambda x: round(x, 3))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=15,
)


def test_two_languages_give_equal_json() -> None:
    with NativeRunner() as python, NativeRunner(program=JAVASCRIPT) as javascript:
        python.load(PYTHON_CODE)
        javascript.load(JAVASCRIPT_CODE)

        @given(st.dictionaries(TEXTS, VALUES, max_size=5))
        @limits(
            max_examples=INPUTS,
            phases=[Phase.generate],
        )
        def equal(args: dict[str, Any]) -> None:
            assert python.invoke(args).json() == javascript.invoke(args).json()

        equal()
