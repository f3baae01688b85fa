"""What a function may reach: reading it, looking it up, and what the kernel is told."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import network
from orchestrator.errors import NetworkError, SettingsError
from orchestrator.function import Function
from orchestrator.network import Destination, Resolver, check_card, parse_all


def test_destinations_are_read() -> None:
    assert Destination.parse("Example.ORG.:443") == Destination("example.org", 443)
    assert Destination.parse("10.0.2.2:80") == Destination("10.0.2.2", 80)
    assert str(Destination("a-b.c_d", 1)) == "a-b.c_d:1"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("example.org", "no port"),
        ("example.org:", "no port"),
        (":80", "neither"),
        ("example.org:http", "no port"),
        ("example.org:0", "no port 0"),
        ("example.org:65536", "no port 65536"),
        ("example.org:0000000443", "no port"),
        ("exa mple:80", "neither"),
        ("1.2.3:80", "neither"),
        ("1.2.3.400:80", "neither"),
        ("-a:80", "neither"),
        ("::1:80", "neither"),
        (f"{'a' * 64}.org:80", "neither"),
        ("a" + ".a" * 130 + ":80", "neither"),
    ],
)
def test_what_is_no_destination_is_refused_by_name(text: str, fault: str) -> None:
    with pytest.raises(NetworkError, match=fault) as caught:
        Destination.parse(text)
    assert repr(text) in caught.value.message


def test_lists_are_in_one_order_and_bounded() -> None:
    assert parse_all(["b:2", "a:3", "b:2", "A:1"]) == ("a:1", "a:3", "b:2")
    with pytest.raises(NetworkError, match="64 places"):
        parse_all(f"h{number}:1" for number in range(65))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = Destination.parse(text)
    except NetworkError:
        return
    assert Destination.parse(str(found)) == found


async def test_addresses_need_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(host: str) -> tuple[int, ...]:
        raise AssertionError(host)

    monkeypatch.setattr(network, "_look_up", refuse)
    rights = await Resolver().rights(("10.0.2.2:80",))
    assert rights == struct.pack("<IHH", 0x0A000202, 80, 8) + b"10.0.2.2"
    assert await Resolver().rights(()) == b""


async def test_names_are_looked_up_once_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    now = [100.0]

    async def look_up(host: str) -> tuple[int, ...]:
        asked.append(host)
        return (1, 2) if host == "known.invalid" else ()

    monkeypatch.setattr(network, "_look_up", look_up)
    monkeypatch.setattr("orchestrator.network.time.monotonic", lambda: now[0])
    resolver = Resolver()
    places = ("known.invalid:1", "none.invalid:1")
    expected = b"".join(struct.pack("<IHH", each, 1, 13) + b"known.invalid" for each in (1, 2))
    assert await resolver.rights(places) == expected
    assert await resolver.rights(places) == expected
    assert asked == ["known.invalid", "none.invalid"]
    now[0] += network.FRESH_S + 1
    await resolver.rights(places)
    assert len(asked) == 4


async def test_a_look_up_that_fails_gives_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    assert await Resolver().rights(("nowhere.invalid:80",)) == b""


def test_a_function_is_another_with_other_places() -> None:
    code = b"def main(args): return {}"
    plain = Function("f", "source", code)
    assert plain.id != Function("f", "source", code, network=("a:1",)).id
    assert plain.id == Function("g", "source", code, network=()).id


def test_a_card_is_asked_for_where_it_is_needed() -> None:
    check_card("f", (), False)
    check_card("f", ("a:1",), True)
    with pytest.raises(SettingsError, match="f may reach a:1, but"):
        check_card("f", ("a:1",), False)
