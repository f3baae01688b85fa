"""Run a function once: JSON arguments in, JSON result out."""

from __future__ import annotations

import sys

from seuss_runner import failures
from seuss_runner.failures import Failure, failure_of
from seuss_runner.jsontext import decode, encode

MAX_RESULT = 8 << 20

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seuss_runner.loader import Main


def decode_object(payload: bytes, what: str) -> dict[str, object]:
    """Return the JSON object in ``payload``; raises Failure (bad-request) that names ``what``."""
    try:
        value = decode(payload)
    except ValueError as error:
        raise Failure(failures.BAD_REQUEST, f"the {what} are no JSON: {error}") from None
    if type(value) is not dict:
        kind = type(value).__name__
        raise Failure(failures.BAD_REQUEST, f"the {what} are a JSON {kind}, not an object")
    return value


def invoke(main: Main, arguments: dict[str, object]) -> str:
    """Call ``main``; return the result's JSON; raises Failure."""
    try:
        result = main(arguments)
        if not isinstance(result, dict):
            result = _awaited(result)
    except BaseException as error:
        raise failure_of(error, failures.EXCEPTION) from None
    finally:
        flush()
    return encode_result(result)


def encode_result(result: object) -> str:
    """Return a function's result as ASCII JSON text of at most 8 MiB; raises Failure."""
    if not isinstance(result, dict):
        name = type(result).__name__
        raise Failure(failures.BAD_RESULT, f"main returned {name}, not a dict (a JSON object)")
    try:
        text = encode(result)
    except ValueError as error:
        raise Failure(failures.BAD_RESULT, f"the result is no JSON: {error}") from None
    if len(text) > MAX_RESULT:
        raise Failure(
            failures.RESULT_TOO_LARGE,
            f"the result is {len(text)} bytes of JSON, {MAX_RESULT} are allowed",
        )
    return text


def flush() -> None:
    """Hand on what the function printed; a closed or replaced stream is its own affair."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            continue


def _awaited(result: object) -> object:
    """Return the result of an ``async def main``; anything else as it is."""
    if type(result).__name__ != "coroutine":
        return result
    import asyncio

    return asyncio.run(result)  # type: ignore[arg-type]
