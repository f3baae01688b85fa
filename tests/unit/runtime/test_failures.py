"""How exceptions are told."""

from __future__ import annotations

import pytest
from seuss_runner.failures import EXCEPTION, EXIT, IMPORT_ERROR, failure_of, shortened


def run(code: str, filename: str = "user.py") -> BaseException:
    """Return what ``code`` raises, called from here."""
    try:
        exec(compile(code, filename, "exec"), {})
    except BaseException as error:
        return error
    raise AssertionError("the code raised nothing")


@pytest.mark.parametrize("length", [0, 10, 32 << 10])
def test_short_texts_stay(length: int) -> None:
    assert shortened("x" * length) == "x" * length


def test_long_texts_keep_both_ends() -> None:
    text = shortened("head" + "x" * 100_000 + "tail")
    assert text.startswith("head")
    assert text.endswith("tail")
    assert "67240 characters left out" in text


def test_the_kind_is_the_callers() -> None:
    failure = failure_of(run("1 / 0"), IMPORT_ERROR)
    assert (failure.kind, failure.message) == (IMPORT_ERROR, "ZeroDivisionError: division by zero")


def test_sys_exit_is_always_an_exit() -> None:
    failure = failure_of(run("raise SystemExit(7)"), EXCEPTION)
    assert (failure.kind, failure.traceback) == (EXIT, None)
    assert failure.message.endswith("sys.exit(7)")


def test_the_runners_frames_are_hidden_through_the_whole_chain() -> None:
    outer = (
        "def helper():\n"
        "    try:\n"
        "        exec(compile('raise KeyError(1)', '<frozen seuss_runner.loader>', 'exec'))\n"
        "    except KeyError as error:\n"
        "        raise ExceptionGroup('both', [error, OSError(2)]) from error\n"
        "helper()\n"
    )
    text = failure_of(run(outer), EXCEPTION).traceback
    assert text is not None
    assert "KeyError: 1" in text
    assert "seuss_runner" not in text
    assert "in helper" in text


def test_notes_are_told() -> None:
    code = "e = ValueError('a')\ne.add_note('look here')\nraise e\n"
    assert failure_of(run(code), EXCEPTION).message == "ValueError: a\nlook here"


def test_an_exception_that_cannot_be_formatted_is_still_told() -> None:
    code = (
        "class Hostile(Exception):\n"
        "    @property\n"
        "    def __cause__(self): raise ValueError\n"
        "raise Hostile\n"
    )
    failure = failure_of(run(code), EXCEPTION)
    assert failure.kind == EXCEPTION
    assert failure.message.startswith("Hostile")
