"""What the page shows: how full the platform is, and what has been captured; and the page."""

from __future__ import annotations

import asyncio
import pathlib
import secrets
import time
from typing import Any, Final

from aiohttp import web

from orchestrator.gateway.errors import json_response
from orchestrator.gateway.metrics import CONTENT_TYPE, Metrics
from orchestrator.gateway.openapi import description
from orchestrator.platform.platform import Platform
from snapshot_store import Branch

PAGE: Final = pathlib.Path(__file__).with_name("page.html")
NONCE: Final = "{{nonce}}"


class Overview:
    """Handlers of the page, and of what it and monitors read."""

    def __init__(self, platform: Platform, metrics: Metrics) -> None:
        self._platform = platform
        self._metrics = metrics
        self._page = PAGE.read_text()
        self._started = time.time()

    def routes(self) -> list[web.RouteDef]:
        """Return what answers which request."""
        return [
            web.get("/", self.page, allow_head=False),
            web.get("/healthz", self.health, allow_head=False),
            web.get("/metrics", self.metrics, allow_head=False),
            web.get("/openapi.json", self.openapi, allow_head=False),
            web.get("/status", self.status, allow_head=False),
            web.get("/snapshots", self.snapshots, allow_head=False),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The page; only its own script runs in it, and nothing is loaded from elsewhere."""
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; connect-src 'self'; img-src data:; script-src 'nonce-{nonce}'; "
            f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return web.Response(
            text=self._page.replace(NONCE, nonce), content_type="text/html", headers=headers
        )

    async def health(self, request: web.Request) -> web.Response:
        """Whether requests can be served: the functions can be read."""
        await asyncio.to_thread(self._platform.registry.names)
        return json_response({"status": "ok"})

    async def metrics(self, request: web.Request) -> web.Response:
        """What Prometheus reads."""
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: web.Request) -> web.Response:
        """The description of all this."""
        return json_response(description())

    async def status(self, request: web.Request) -> web.Response:
        """Policies, how full the platform is, and what runs."""
        platform = self._platform
        running = [
            key._asdict() | {"accelerator": dispatcher.accelerator}
            for key, dispatcher in platform.dispatchers.started.items()
        ]
        return json_response(
            {
                "started": self._started,
                "policies": platform.policies.to_json(),
                "fill": platform.fill(),
                "dispatchers": running,
            }
        )

    async def snapshots(self, request: web.Request) -> web.Response:
        """All snapshots as trees, each with the bytes it adds."""
        branches = await asyncio.to_thread(self._platform.store.tree)
        return json_response({"snapshots": [_branch(branch) for branch in branches]})


def _branch(branch: Branch) -> dict[str, Any]:
    manifest = branch.manifest
    return {
        "id": manifest.id,
        "level": manifest.level.value,
        "isolation": manifest.depth.value,
        "label": manifest.label,
        "function": manifest.function,
        "ao": manifest.ao,
        "created": manifest.created,
        "pages": manifest.page_count,
        "bytes": manifest.stored_bytes,
        "children": [_branch(child) for child in branch.children],
    }
