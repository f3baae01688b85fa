"""What a function may reach: reading it, looking it up, and what the kernel is told."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import network
from orchestrator.errors import NetworkError, SettingsError
from orchestrator.function import Function
from orchestrator.network import Destination, Reach, Resolver, check_card, parse_all


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
        ("0x0a000202:80", "neither"),
        ("a.0x:80", "neither"),
        ("b\u00fccher.example:80", "xn--"),
        ("\u212aelvin.example:80", "xn--"),
        ("LocalHost:80", "Write 10.0.2.2"),
        ("127.0.1.1:80", "Write 10.0.2.2"),
        ("0.0.0.0:80", "Write 10.0.2.2"),
        ("224.0.0.1:53", "no single host"),
        ("255.255.255.255:67", "no single host"),
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
    async def refuse(resolver: Resolver, host: str) -> tuple[int, ...]:
        raise AssertionError(host)

    monkeypatch.setattr(Resolver, "_look_up", refuse)
    rights = await Resolver().rights(("10.0.2.2:80",))
    assert rights == struct.pack("<IHH", 0x0A000202, 80, 8) + b"10.0.2.2"
    assert await Resolver().rights(()) == b""


async def test_names_are_looked_up_once_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    now = [100.0]

    async def look_up(resolver: Resolver, host: str) -> tuple[int, ...]:
        asked.append(host)
        return (1, 2) if host == "known.invalid" else ()

    monkeypatch.setattr(Resolver, "_look_up", look_up)
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


def answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name lead to these addresses."""

    def look_up(host: str, *_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


async def test_a_look_up_that_fails_gives_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert await Resolver().rights(("nowhere.invalid:80",)) == b""


async def test_no_name_leads_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    inward = ("10.0.2.2", "10.0.2.3", "127.0.0.1", "0.0.0.0", "169.254.169.254", "239.1.1.1")
    answering(monkeypatch, *inward, "192.168.7.7", "255.255.255.255")
    rights = await Resolver().rights(("rebound.invalid:80",))
    assert rights == struct.pack("<IHH", 0xC0A80707, 80, 15) + b"rebound.invalid"


async def test_every_place_has_an_address_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, *(f"192.0.2.{number}" for number in range(1, 101)))
    places = parse_all([f"{letter}{letter}:1" for letter in "abcd"])
    rights = await Resolver().rights(places)
    size = len(rights) // network.MAX_ENTRIES
    entries = [rights[at : at + size] for at in range(0, len(rights), size)]
    assert len(entries) == network.MAX_ENTRIES
    for name in (b"aa", b"bb", b"cc", b"dd"):
        mine = [each for each in entries if each.endswith(name)]
        assert len(mine) == network.MAX_ENTRIES // 4
        assert mine[0][:4] == bytes((1, 2, 0, 192))


async def test_a_name_is_asked_for_once_at_a_time_and_holds_up_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def look_up(host: str, *_: Any) -> list[Any]:
        asked.append(host)
        assert answer.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolver = Resolver()
    # More than the threads that everything else of the process shares.
    slow = parse_all(f"h{number}.invalid:1" for number in range(48))
    calls = [asyncio.create_task(resolver.rights(slow)) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    try:
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 10) == 7
    finally:
        answer.set()
    first, *others = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert [len(each) for each in others if isinstance(each, bytes)] == [
        48 * 8 + sum(map(len, slow)) - 48 * 2
    ] * 2
    assert sorted(asked) == sorted(place.removesuffix(":1") for place in slow)


@pytest.mark.parametrize(
    ("reach", "refused"),
    [(Reach.ALL, None), (Reach.OUTSIDE, "10.0.2.2:80"), (Reach.NONE, "192.168.1.1:80")],
)
def test_what_others_may_give_to_functions(reach: Reach, refused: str | None) -> None:
    assert reach.refused(("192.168.1.1:80", "10.0.2.2:80", "a.example:1")) == refused
    assert reach.refused(()) is None
    metadata = reach.refused(("169.254.169.254:80",))
    assert metadata == (None if reach is Reach.ALL else "169.254.169.254:80")


def test_a_function_is_another_with_other_places() -> None:
    code = b"def main(args): return {}"
    plain = Function("f", "source", code)
    assert plain.id != Function("f", "source", code, network=("a:1",)).id
    assert plain.id == Function("g", "source", code, network=()).id
    # A zip may begin with anything: what it says must not count as a place.
    pretended = Function("f", "source", b"a:1\0" + code)
    assert pretended.id != Function("f", "source", code, network=("a:1",)).id


def test_a_card_is_asked_for_where_it_is_needed() -> None:
    check_card("f", (), False)
    check_card("f", ("a:1",), True)
    with pytest.raises(SettingsError, match="f may reach a:1, but"):
        check_card("f", ("a:1",), False)
