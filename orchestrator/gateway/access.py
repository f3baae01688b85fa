"""Who may ask: holders of the token or, without one, programs of this machine."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import urllib.parse
from typing import Final

from aiohttp import web

from orchestrator.errors import SettingsError
from orchestrator.gateway.errors import RequestError

OPEN: Final = frozenset({"/", "/healthz", "/openapi.json"})
"""Paths that tell nothing of the functions."""
SHORTEST_TOKEN: Final = 16
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine's programs reach an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Decides on requests.

    Args:
        host: the address that is listened on.
        token: the secret; None serves whoever reaches a loopback address.

    Raises:
        SettingsError: a token is missing or too short.
    """

    def __init__(self, host: str, token: str | None) -> None:
        if token is None and not is_loopback(host):
            raise SettingsError(
                f"Others reach {host}: that needs a token. Put one into a file for --token-file or "
                "into SEUSS_TOKEN, or listen on 127.0.0.1."
            )
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise SettingsError(
                f"A token of {len(token)} letters can be guessed. Use at least {SHORTEST_TOKEN}."
            )
        self._host = host
        self._token = token

    def check(self, request: web.Request) -> None:
        """Raise RequestError with 401 or 403 for a request that may not be served."""
        if self._token is None:
            self._check_browser(request)
        elif request.path not in OPEN and not self._has_token(request, self._token):
            raise RequestError(
                401,
                "unauthorized",
                "The token is missing or wrong. Send it as Authorization: Bearer TOKEN.",
            )

    def _check_browser(self, request: web.Request) -> None:
        """Refuse what a page from elsewhere makes this machine's browser ask."""
        name = _split(f"//{request.host}").hostname or ""
        if name not in LOCAL_NAMES | {self._host}:
            raise RequestError(
                403,
                "forbidden",
                f"Without a token only this machine is served, not as {name[:80]!r}. Ask "
                "127.0.0.1 or start the gateway with a token.",
            )
        origin = request.headers.get("Origin")
        if origin is not None and _split(origin).netloc != request.host:
            raise RequestError(
                403,
                "forbidden",
                f"Pages of {origin[:80]!r} are not served. Start the gateway with a token.",
            )

    @staticmethod
    def _has_token(request: web.Request, token: str) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        given = [value.strip()] if scheme.lower() == "bearer" else []
        if scheme.lower() == "basic":
            # OpenWhisk's clients send their key, user:password, in this way.
            try:
                key = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, ValueError):
                key = ""
            given = [key, key.partition(":")[2]]
        wanted = token.encode()
        return any(hmac.compare_digest(each.encode("utf-8", "replace"), wanted) for each in given)


def _split(address: str) -> urllib.parse.SplitResult:
    """Split an address into its parts; what is none has none."""
    try:
        return urllib.parse.urlsplit(address)
    except ValueError:
        return urllib.parse.SplitResult("", "", "", "", "")
