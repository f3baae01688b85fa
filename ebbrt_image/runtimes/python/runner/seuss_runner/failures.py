"""How a function fails: the error kinds, and tracebacks that show the function's frames only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traceback import TracebackException

SYNTAX_ERROR = "syntax-error"
IMPORT_ERROR = "import-error"
NO_MAIN = "no-main"
EXCEPTION = "exception"
BAD_RESULT = "bad-result"
EXIT = "exit"
RESULT_TOO_LARGE = "result-too-large"
BAD_REQUEST = "bad-request"

_OWN_FRAMES = ("<frozen seuss_runner", "<frozen importlib")
_MAX_TEXT = 32 << 10


class Failure(Exception):
    """A request that failed: ``kind`` is one of this module's kinds."""

    def __init__(self, kind: str, message: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = shortened(message)
        self.traceback = traceback


def shortened(text: str) -> str:
    """Return ``text``, with its middle left out where it is very long."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def failure_of(error: BaseException, kind: str) -> Failure:
    """Return the Failure that tells of ``error``, raised by the function's own code."""
    if isinstance(error, SystemExit):
        return Failure(EXIT, f"the function ended itself with sys.exit({_told(error.code)})")
    try:
        return _described(error, kind)
    except Exception as trouble:  # a hostile exception class, or no memory left to format it
        return Failure(kind, f"{type(error).__name__} (untold: {type(trouble).__name__})")


def _described(error: BaseException, kind: str) -> Failure:
    from traceback import TracebackException

    report = TracebackException(type(error), error, error.__traceback__, compact=True)
    _hide_own_frames(report)
    if isinstance(error, SyntaxError):
        message = f"{error.filename}, line {error.lineno}: {error.msg}"
    else:
        message = "".join(report.format_exception_only()).rstrip("\n")
    return Failure(kind, message, shortened("".join(report.format())))


def _told(value: object) -> str:
    """Return the repr of ``value``, whatever its class does."""
    try:
        return shortened("" if value is None else repr(value))
    except BaseException:
        return f"a {type(value).__name__}"


def _hide_own_frames(report: TracebackException) -> None:
    """Take the frames of the runner and of the import machinery out of the whole chain."""
    pending = [report]
    while pending:
        part = pending.pop()
        part.stack[:] = [f for f in part.stack if not f.filename.startswith(_OWN_FRAMES)]
        pending += [cause for cause in (part.__cause__, part.__context__) if cause is not None]
        pending += part.exceptions or []
