"""Finds a function's snapshot point in its source, without running it."""

from __future__ import annotations

from seuss_runner import failures
from seuss_runner.failures import Failure
from seuss_runner.jsontext import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ast import AST, Call

CALL = "snapshot_point"
MODULE = "seuss"
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST, whose module would cost memory
_MAX_NAMES_TEXT = 512


def point_in(source: str | bytes, filename: str) -> tuple[str, ...] | None:
    """Return the sorted names that ``source`` gives to `seuss.snapshot_point`; None without a call.

    ``source`` is known to compile. Raises Failure (syntax-error) when the names cannot be read from
    it, or differ from one call to the other.
    """
    if isinstance(source, str) and CALL not in source:
        return None
    if isinstance(source, bytes) and CALL.encode() not in source:
        return None
    try:
        tree = compile(source, filename, "exec", _ONLY_AST, dont_inherit=True)
    except RecursionError:
        raise _failure(filename, 1, "is nested too deeply to find its snapshot point") from None
    found = None
    for call in _calls(tree):
        names = _names(call, filename)
        if found is not None and names != found:
            raise _failure(
                filename, call.lineno, f"names {names}, another call names {found}: one point each"
            )
        found = names
    return found


def _calls(tree: AST) -> list[Call]:
    """Return all calls of the function by its own name, if the file imports its module."""
    calls: list[Call] = []
    imported = False
    pending = [tree]
    while pending:
        node = pending.pop()
        kind = type(node).__name__
        if kind == "Import":
            imported |= any(each.name == MODULE for each in node.names)  # type: ignore[attr-defined]
        elif kind == "ImportFrom":
            imported |= node.module == MODULE  # type: ignore[attr-defined]
        elif kind == "Call":
            called = node.func  # type: ignore[attr-defined]
            if CALL in (getattr(called, "attr", None), getattr(called, "id", None)):
                calls.append(node)  # type: ignore[arg-type]
        for field in node._fields:
            part = getattr(node, field, None)
            parts: list[AST | None] = part if type(part) is list else [part]
            pending += [each for each in parts if each is not None and hasattr(each, "_fields")]
    return calls if imported else []


def _names(call: Call, filename: str) -> tuple[str, ...]:
    given = [getattr(each, "value", None) for each in call.args]
    texts = tuple(sorted({each for each in given if isinstance(each, str)}))
    if call.keywords or not all(isinstance(each, str) for each in given):
        raise _failure(filename, call.lineno, "takes its names as plain texts, as in ('model')")
    if len(encode(texts)) > _MAX_NAMES_TEXT:
        raise _failure(filename, call.lineno, f"has names of over {_MAX_NAMES_TEXT} characters")
    return texts


def _failure(filename: str, line: int, what: str) -> Failure:
    return Failure(failures.SYNTAX_ERROR, f"{filename}, line {line}: snapshot_point {what}")
