"""The HTTP server of a platform."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from orchestrator.errors import GatewayError
from orchestrator.gateway.access import Access
from orchestrator.gateway.bodies import Bodies
from orchestrator.gateway.events import event
from orchestrator.gateway.functions import Functions
from orchestrator.gateway.layers import SEND_S, Layers
from orchestrator.gateway.metrics import Metrics
from orchestrator.gateway.openwhisk import OpenWhisk
from orchestrator.gateway.overview import Overview
from orchestrator.network import Reach
from orchestrator.platform.platform import Platform

logger = logging.getLogger(__name__)

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
SPARE_CONNECTIONS: Final = 64
"""Beside those of all invocations that can run and wait: for 429s, the page, and monitors."""
IDLE_S: Final = 30.0
END_S: Final = 10.0
"""How long requests under way may take to end when the gateway ends."""
LINGER_S: Final = 1.0
"""How long the rest of a refused body is read, so that the client sees why."""
HEAD_LIMIT: Final = 16 << 10
"""Bytes of a request's first line, and of one header."""


class Gateway:
    """Serves a platform by HTTP; an async context manager that listens while it is entered.

    A client that goes away has its invocation ended. What is too large, too slow or too much is
    refused, and touches nobody else.

    Args:
        platform: entered already.
        metrics: whose `invocation` is the platform's listener.
        host: address to listen on; one that others reach needs a token.
        port: 0 takes a free one.
        token: the secret that requests must carry.
        bodies: bounds on what requests bring.
        idle_s: how long a connection may stay without a whole request's head.
        send_s: how long a client may take to receive an answer.
        most_connections: further ones are refused; None lets in all that the platform's queues
            take, and some, so that the next hears when to come again.
        reach: what clients may give functions to reach; None is all without a token, as this
            machine's programs reach all that anyhow, and what is outside with one.

    Raises:
        SettingsError: the token is missing or too short.
        GatewayError: the address cannot be listened on.
    """

    def __init__(
        self,
        platform: Platform,
        metrics: Metrics,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        token: str | None = None,
        *,
        bodies: Bodies | None = None,
        idle_s: float = IDLE_S,
        send_s: float = SEND_S,
        most_connections: int | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._host = host
        self.port = port
        self._most = most_connections or platform.policies.admitted + SPARE_CONNECTIONS
        self._bodies = bodies or Bodies()
        reach = reach or (Reach.ALL if token is None else Reach.OUTSIDE)
        metrics.watch(platform)
        application = web.Application(
            middlewares=Layers(Access(host, token), metrics, send_s).all()
        )
        for handlers in (
            Overview(platform, metrics),
            Functions(platform, self._bodies, reach),
            OpenWhisk(platform, self._bodies, reach),
        ):
            application.add_routes(handlers.routes())
        self._application = application
        self._runner = web.AppRunner(
            application,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=idle_s,
            shutdown_timeout=END_S,
            lingering_time=LINGER_S,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._runner.setup()
            stack.push_async_callback(self._runner.cleanup)
            try:
                server = await asyncio.get_running_loop().create_server(
                    self._accept, self._host, self.port
                )
            except OSError as error:
                raise GatewayError(
                    f"Cannot listen on {self._host} port {self.port}: {error.strerror or error}. "
                    "Choose another with --host and --port."
                ) from error
            stack.callback(server.close)
            self.port = server.sockets[0].getsockname()[1]
            self._stack = stack.pop_all()
        event("listening", url=self.url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it is reached."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def routes(self) -> set[tuple[str, str]]:
        """Return method and pattern of every request that is served."""
        return {
            (route.method, route.resource.canonical)
            for route in self._application.router.routes()
            if route.resource is not None
        }

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= self._most:
            logger.warning("%d connections are open: one more is refused", self._most)
            return _Refusal()
        return server()


class _Refusal(asyncio.Protocol):
    """Says that there are too many connections, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        transport.close()
