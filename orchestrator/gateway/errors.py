"""What goes wrong with a request, as a status and an object of JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp import web

from orchestrator.errors import (
    AlreadyDeployedError,
    BusyError,
    DeploymentError,
    FunctionFileError,
    NetworkError,
    PoolClosedError,
    SettingsError,
    UnknownFunctionError,
    UnknownInvocationError,
)
from snapshot_store import SeussError

STATUS: Final[dict[type[SeussError], tuple[int, str]]] = {
    UnknownFunctionError: (404, "unknown-function"),
    UnknownInvocationError: (404, "unknown-invocation"),
    AlreadyDeployedError: (409, "already-deployed"),
    DeploymentError: (400, "bad-request"),
    FunctionFileError: (400, "bad-request"),
    NetworkError: (400, "bad-request"),
    SettingsError: (400, "bad-request"),
    BusyError: (429, "busy"),
    PoolClosedError: (503, "closing"),
}
"""Errors that are the client's to mend; all others are the platform's."""

FUNCTION_STATUS: Final = {"bad-request": 400, "args-too-large": 413}
"""Status for kinds of an invocation's error; for all others, the function's own, 502."""


class RequestError(Exception):
    """A request that cannot be served.

    Args:
        status: HTTP's.
        kind: a word for programs.
        message: input, cause and next step.
        retry_s: seconds after which to try again, if that helps.
    """

    def __init__(self, status: int, kind: str, message: str, retry_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.retry_s = retry_s

    @classmethod
    def of(cls, error: SeussError) -> RequestError:
        """Return what a client is told of an error; command lines and logs stay here."""
        for kind, (status, word) in STATUS.items():
            if isinstance(error, kind):
                retry_s = error.retry_s if isinstance(error, BusyError) else None
                return cls(status, word, error.message, retry_s)
        return cls(500, "platform", error.message)

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to it."""
        headers = {} if self.retry_s is None else {"Retry-After": str(self.retry_s)}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="seuss"'
        return headers

    def response(self) -> web.Response:
        """Return it as the gateway's own answer."""
        told = {"error": {"kind": self.kind, "message": self.message}}
        return json_response(told, self.status, self.headers())


def function_status(kind: str) -> int:
    """Return the status for the kind of an invocation's error."""
    return FUNCTION_STATUS.get(kind, 502)


def json_response(
    told: Any, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a value as JSON."""
    return json_text(json.dumps(told, separators=(",", ":")), status, headers)


def json_text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return what is JSON already."""
    return web.Response(
        body=text.encode(),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )
