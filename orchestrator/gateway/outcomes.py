"""What a request's handler tells the layers around it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from orchestrator.platform.platform import Outcome

OUTCOME: Final = web.RequestKey("outcome", Outcome)


def remember(request: web.Request, outcome: Outcome) -> None:
    """Keep the outcome of the invocation that a request was for."""
    request[OUTCOME] = outcome


def remembered(request: web.Request) -> Outcome | None:
    """Return the outcome of the invocation that a request was for, if it came to one."""
    return request.get(OUTCOME)
