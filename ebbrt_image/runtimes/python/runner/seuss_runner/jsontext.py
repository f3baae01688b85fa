"""JSON in and out through the C accelerator alone.

The `json` package is not imported: it pulls in `re` and `enum`, which a function may never need.
NaN and the infinities are no JSON (RFC 8259) and are refused both ways. Keys that are numbers,
booleans or None become strings, as `json.dumps` does it. The text is ASCII.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

_SPACE = " \t\n\r"
_TOO_DEEP = "the JSON text is nested too deeply"
_MAX_DEPTH = 900


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


class _Rules:
    """What the C scanner asks its context for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)


def _refuse_object(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


_scan = make_scanner(_Rules())  # type: ignore[arg-type]
_encode = make_encoder(  # without a set of marks: a cycle shows as too deep, find_fault tells
    None, _refuse_object, encode_basestring_ascii, None, ":", ",", False, False, False
)


def decode(data: bytes) -> object:
    """Return the value that the UTF-8 JSON text ``data`` denotes.

    Raises ValueError that says where the text goes wrong.
    """
    text = data.decode()
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, SystemError):
        pass  # the scanner can only tell of an error once json.decoder is there
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return _decode_padded(text)


def _decode_padded(text: str) -> object:
    """Decode a text with space around its value, or find what is wrong with it."""
    import json.decoder  # noqa: F401

    start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise ValueError(f"a JSON value is expected at character {stop.value}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text[end:].strip(_SPACE):
        raise ValueError(f"more text follows the JSON value at character {end}")
    return value


def encode(value: object) -> str:
    """Return ``value`` as ASCII JSON text without spaces; ValueError says where it fails."""
    try:
        return "".join(_encode(value, 0))
    except MemoryError:
        raise
    except Exception as error:
        try:
            place = find_fault(value)
        except Exception:  # a mapping that does not let itself be looked through
            place = None
        raise ValueError(place or f"{type(error).__name__}: {error}") from None


def find_fault(value: object) -> str | None:
    """Return where and why ``value`` has no JSON form, or None when no single place is to blame."""
    pending: list[tuple[object, str, tuple[int, ...]]] = [(value, "result", ())]
    while pending:
        item, place, above = pending.pop()
        if item is None or isinstance(item, str | int):
            continue
        if isinstance(item, float):
            if item != item or item in (float("inf"), float("-inf")):
                return f"{place} is {item!r}, which is no JSON number"
            continue
        if id(item) in above:
            return f"{place} contains itself"
        if len(above) >= _MAX_DEPTH:
            return f"the result is nested more than {_MAX_DEPTH} levels deep"
        below = (*above, id(item))
        if isinstance(item, dict):
            for key, part in item.items():
                if not (key is None or isinstance(key, str | int | float)):
                    return f"{place} has a key of type {type(key).__name__}, which is no JSON key"
                pending.append((part, f"{place}[{key!r}]", below))
        elif isinstance(item, list | tuple):
            pending += [(part, f"{place}[{n}]", below) for n, part in enumerate(item)]
        else:
            return f"{place} is of type {type(item).__name__}, which has no JSON form"
    return None
