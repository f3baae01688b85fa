"""What is done around every handler: errors as answers, access, deadlines, times, events."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from orchestrator.gateway.access import Access
from orchestrator.gateway.errors import RequestError
from orchestrator.gateway.events import event
from orchestrator.gateway.metrics import Metrics
from orchestrator.gateway.openwhisk import openwhisk_error
from orchestrator.gateway.outcomes import remembered
from snapshot_store import SeussError

logger = logging.getLogger(__name__)

SEND_S: Final = 30.0
"""How long a client may take to receive an answer."""
INVOCATION_HEADER: Final = "X-Seuss-Invocation"
QUIET: Final = frozenset({"/healthz", "/metrics", "/status", "/snapshots", "/invocations"})
"""Routes that monitors and the page ask for again and again; they are logged for debugging only."""


class Layers:
    """The layers, outermost first, as aiohttp's middlewares."""

    def __init__(self, access: Access, metrics: Metrics, send_s: float = SEND_S) -> None:
        self._access = access
        self._metrics = metrics
        self._send_s = send_s

    def all(self) -> list[Middleware]:
        """Return them in order."""

        @web.middleware
        async def sent(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._sent(request, handler)

        @web.middleware
        async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answered(request, handler)

        return [sent, answered]

    async def _sent(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send the answer here, within its deadline, so that its time is known."""
        began = time.perf_counter()
        response = await handler(request)
        # What functions return is data, whatever a browser would make of it.
        response.headers["X-Content-Type-Options"] = "nosniff"
        outcome = remembered(request)
        if outcome is not None:
            response.headers[INVOCATION_HEADER] = outcome.id
            response.headers["Server-Timing"] = (
                f"wait;dur={outcome.waited_ms:.3f}, dispatch;dur={outcome.dispatched_ms:.3f}"
            )
        status = response.status
        try:
            async with asyncio.timeout(self._send_s):
                await response.prepare(request)
                await response.write_eof()
        except (TimeoutError, ConnectionError):
            status = 499
            if request.transport is not None:
                request.transport.abort()
        seconds = time.perf_counter() - began
        self._metrics.request(request.method, route_of(request), status, seconds, outcome)
        event(
            "request",
            logging.DEBUG if route_of(request) in QUIET else logging.INFO,
            method=request.method,
            route=route_of(request),
            status=status,
            ms=round(seconds * 1000, 3),
            client=request.remote,
            invocation=None if outcome is None else outcome.id,
        )
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check access, call the handler, and turn what it raises into an answer."""
        try:
            self._access.check(request)
            return await handler(request)
        except RequestError as error:
            return _error(request, error)
        except SeussError as error:
            told = RequestError.of(error)
            if told.status >= 500:
                logger.error("%s %s failed: %s", request.method, route_of(request), error)
            return _error(request, told)
        except web.HTTPException as error:
            told = RequestError(
                error.status, error.reason.lower().replace(" ", "-"), _advice(request, error.status)
            )
            response = _error(request, told)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        except ConnectionError:
            raise
        except Exception:
            mark = uuid.uuid4().hex
            logger.exception("%s %s failed, %s", request.method, route_of(request), mark)
            return _error(
                request,
                RequestError(
                    500, "internal", f"The gateway failed. Its log says why at {mark}. Report it."
                ),
            )


def route_of(request: web.Request) -> str:
    """Return the pattern that a request fits, or `none`: there are only so many."""
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical


def _advice(request: web.Request, status: int) -> str:
    what = f"{request.method} {request.path[:200]}"
    if status == 405:
        return f"{what} is not offered. See /openapi.json."
    return f"There is no {what}. See /openapi.json." if status == 404 else f"{what} is refused."


def _error(request: web.Request, error: RequestError) -> web.Response:
    if request.path.startswith("/api/v1/"):
        return openwhisk_error(error, uuid.uuid4().hex)
    return error.response()
