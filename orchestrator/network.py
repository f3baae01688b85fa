"""What a function may reach: hosts and ports, and how the guest's kernel is told of them.

The guest asks nobody for names. The host looks them up and sends the addresses along with each
request, so they are never older than `FRESH_S`, and no snapshot holds one. Whoever answers for a
name chooses its addresses, but never one of this machine (`NUMBERS_ONLY`): that is given by number.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from itertools import chain, zip_longest
from typing import Final

from orchestrator.errors import NetworkError, SettingsError

logger = logging.getLogger(__name__)

MAX_DESTINATIONS = 64
MAX_ENTRIES = 256
"""Addresses that the kernel takes, ports counted on their own."""
MAX_NAME = 253
FRESH_S = 30.0
LOOKUP_DEADLINE_S = 10.0
LOOKUP_THREADS = 32
"""At the same time. A server that does not answer holds one for longer than a call waits."""
USER_NETWORK: Final = IPv4Network("10.0.2.0/24")
"""Where QEMU plays this machine (10.0.2.2, its loopback) and its name server."""
NUMBERS_ONLY: Final = (USER_NETWORK, IPv4Network("169.254.0.0/16"))
"""This machine, and what serves it alone, such as a cloud's metadata. No name leads there."""

_WITHIN: Final = (IPv4Network("0.0.0.0/8"), IPv4Network("127.0.0.0/8"))
"""To a function that is itself."""
_NOBODY: Final = (IPv4Network("224.0.0.0/4"), IPv4Network("240.0.0.0/4"))
_ENTRY = struct.Struct("<IHH")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, order=True)
class Destination:
    """A host, by name or IPv4 address, and a port of it."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read HOST:PORT. Raises NetworkError that says what is wrong with it."""
        host, colon, digits = text.rpartition(":")
        if not host.isascii():
            raise NetworkError(
                text, "its name has letters beyond ASCII. Write it as name servers have it, xn--..."
            )
        host = host.lower().removesuffix(".")
        if not colon or not digits.isascii() or not digits.isdigit():
            raise NetworkError(text, "it has no port. Write HOST:PORT, as in example.org:443.")
        if len(digits) > 5 or not 1 <= int(digits) <= 65535:
            raise NetworkError(text, f"there is no port {digits}. Ports go from 1 to 65535.")
        if not _is_address(host) and not _is_name(host):
            raise NetworkError(
                text, f"{host!r} is neither a host's name nor an IPv4 address. Check it."
            )
        if host == "localhost" or _is_address_in(host, _WITHIN):
            raise NetworkError(
                text,
                "to a function that is itself, which it reaches anyhow. Write 10.0.2.2 for this "
                "machine.",
            )
        if _is_address_in(host, _NOBODY):
            raise NetworkError(text, "no single host has that address. Write one that a host has.")
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


class Reach(StrEnum):
    """Which places functions can be given by those who deploy them from elsewhere."""

    ALL = "all"
    OUTSIDE = "outside"
    """Not this machine, and not what serves it alone."""
    NONE = "none"

    def refused(self, network: Iterable[str]) -> str | None:
        """Return the first of these places that is not among them, if there is one."""
        for place in network:
            host = Destination.parse(place).host
            own = _is_address_in(host, NUMBERS_ONLY)
            if self is Reach.NONE or (self is Reach.OUTSIDE and own):
                return place
        return None


class Resolver:
    """Looks names up with the host's own means, and remembers the answers for a while.

    In threads of its own, which wait for name servers: nothing else waits with them.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[int, ...]]] = {}
        self._asking: dict[str, asyncio.Task[tuple[int, ...]]] = {}
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, "seuss-names")

    async def rights(self, network: Iterable[str]) -> bytes:
        """Return the payload of the ALLOW frame for these destinations; none gives nothing.

        A name that cannot be looked up is left out: the function finds no such host. Where there
        are more addresses than the kernel takes, each destination loses of its last. Raises
        NetworkError for what is no HOST:PORT.
        """
        destinations = [Destination.parse(each) for each in network]
        found = await asyncio.gather(*(self._addresses(each.host) for each in destinations))
        of_each = [
            [
                _ENTRY.pack(address, each.port, len(each.host)) + each.host.encode("ascii")
                for address in addresses
            ]
            for each, addresses in zip(destinations, found, strict=True)
        ]
        firsts_first = chain.from_iterable(zip_longest(*of_each))
        return b"".join([entry for entry in firsts_first if entry is not None][:MAX_ENTRIES])

    async def _addresses(self, host: str) -> tuple[int, ...]:
        if _is_address(host):
            return (int(IPv4Address(host)),)
        known = self._known.get(host)
        if known is not None and time.monotonic() - known[0] <= FRESH_S:
            return known[1]
        asking = self._asking.get(host)
        if asking is None:
            asking = self._asking[host] = asyncio.create_task(self._ask(host))
        # Others may wait for it as well.
        return await asyncio.shield(asking)

    async def _ask(self, host: str) -> tuple[int, ...]:
        try:
            began = time.monotonic()
            found = await self._look_up(host)
            self._forget(began - FRESH_S)
            self._known[host] = (began, found)
            return found
        finally:
            del self._asking[host]

    def _forget(self, moment: float) -> None:
        """Forget what was learned before."""
        for host in [host for host, (learned, _) in self._known.items() if learned < moment]:
            del self._known[host]

    async def _look_up(self, host: str) -> tuple[int, ...]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_DEADLINE_S):
                addresses = await loop.run_in_executor(self._threads, _addresses_of, host)
        except (OSError, UnicodeError, TimeoutError):
            return ()
        kept = [each for each in addresses if not _is_in(each, (*NUMBERS_ONLY, *_WITHIN, *_NOBODY))]
        if len(kept) < len(addresses):
            logger.warning("%s leads to this machine itself: that is given by number only", host)
        return tuple(dict.fromkeys(int(each) for each in kept))


def _addresses_of(host: str) -> list[IPv4Address]:
    found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    return [IPv4Address(each[4][0]) for each in found]


def _is_in(address: IPv4Address, networks: Iterable[IPv4Network]) -> bool:
    return any(address in each for each in networks)


def _is_address_in(host: str, networks: Iterable[IPv4Network]) -> bool:
    return _is_address(host) and _is_in(IPv4Address(host), networks)


def _is_address(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    labels = host.split(".")
    return (
        len(host) <= MAX_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not _NUMBER.fullmatch(labels[-1])
    )
