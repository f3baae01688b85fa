"""What a function may reach: hosts and ports, and how the guest's kernel is told of them.

The guest asks nobody for names. The host looks them up and sends the addresses along with each
request, so they are never older than `FRESH_S`, and no snapshot holds one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import NetworkError, SettingsError

MAX_DESTINATIONS = 64
MAX_ENTRIES = 256
"""Addresses that the kernel takes, ports counted on their own."""
MAX_NAME = 253
FRESH_S = 30.0
LOOKUP_DEADLINE_S = 10.0

_ENTRY = struct.Struct("<IHH")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, order=True)
class Destination:
    """A host, by name or IPv4 address, and a port of it."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read HOST:PORT. Raises NetworkError that says what is wrong with it."""
        host, colon, digits = text.rpartition(":")
        host = host.lower().removesuffix(".")
        if not colon or not digits.isascii() or not digits.isdigit():
            raise NetworkError(text, "it has no port. Write HOST:PORT, as in example.org:443.")
        if len(digits) > 5 or not 1 <= int(digits) <= 65535:
            raise NetworkError(text, f"there is no port {digits}. Ports go from 1 to 65535.")
        if not _is_address(host) and not _is_name(host):
            raise NetworkError(
                text, f"{host!r} is neither a host's name nor an IPv4 address. Check it."
            )
        return cls(host, int(digits))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_all(texts: Iterable[str]) -> tuple[str, ...]:
    """Return destinations in one order, each once. Raises NetworkError."""
    found = sorted({Destination.parse(text) for text in texts})
    if len(found) > MAX_DESTINATIONS:
        raise NetworkError(
            str(found[-1]), f"a function may reach {MAX_DESTINATIONS} places at most."
        )
    return tuple(str(each) for each in found)


def check_card(function: str, network: Iterable[str], card: bool) -> None:
    """Raise SettingsError if a function has places to reach and machines have no network card."""
    places = ", ".join(network)
    if places and not card:
        raise SettingsError(
            f"{function} may reach {places}, but the machines here have no network card. "
            "Start them with one: Settings(network=True), or seuss node start --network."
        )


class Resolver:
    """Looks names up with the host's own means, and remembers the answers for a while."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[int, ...]]] = {}

    async def rights(self, network: Iterable[str]) -> bytes:
        """Return the payload of the ALLOW frame for these destinations; none gives nothing.

        A name that cannot be looked up is left out: the function finds no such host. Raises
        NetworkError for what is no HOST:PORT.
        """
        destinations = [Destination.parse(each) for each in network]
        found = await asyncio.gather(*(self._addresses(each.host) for each in destinations))
        entries = [
            _ENTRY.pack(address, each.port, len(each.host)) + each.host.encode("ascii")
            for each, addresses in zip(destinations, found, strict=True)
            for address in addresses
        ]
        return b"".join(entries[:MAX_ENTRIES])

    async def _addresses(self, host: str) -> tuple[int, ...]:
        if _is_address(host):
            return (int(ipaddress.IPv4Address(host)),)
        now = time.monotonic()
        known = self._known.get(host)
        if known is None or now - known[0] > FRESH_S:
            known = self._known[host] = (now, await _look_up(host))
        return known[1]


async def _look_up(host: str) -> tuple[int, ...]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_DEADLINE_S):
            found = await loop.getaddrinfo(
                host, None, family=socket.AF_INET, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(dict.fromkeys(int(ipaddress.IPv4Address(each[4][0])) for each in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    labels = host.split(".")
    return (
        len(host) <= MAX_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )
