"""fetch natively, against servers that answer whatever they like."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest

from tests.integration.runtime.fetching import raw_server, refusal, resetting_server, value
from tests.integration.runtime.native_runner import JAVASCRIPT, NativeRunner

MOST_BODY = 64 << 20
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def js() -> Iterator[NativeRunner]:
    with NativeRunner(program=JAVASCRIPT) as runner:
        yield runner


def test_a_head_is_what_comes_first_and_blanks_in_it_are_cheap(js: NativeRunner) -> None:
    blanks = b" " * 60_000
    answer = OK + b"Wide: a" + blanks + b"b\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(answer + b"2\r\nok\r\n0\r\nWide: late\r\nLate: field\r\n\r\n") as url:
        told = value(
            js,
            "await (async (r) => [r.headers.get('wide').length, r.headers.get('late'),"
            " await r.text()])(await fetch(url))",
            url=url,
        )
    assert told == [len(blanks) + 2, None, "ok"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "ended the connection"),
        (b"HTTP/1.1 200", "ended the connection"),
        (OK + b"Content-Length: 10\r\n\r\nfour", "ended the connection"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", "ended the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "Expected HTTP/"),
        (b"HTTP/9.9 200 OK\r\n\r\n", "Invalid HTTP version"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "Invalid status code"),
        (OK + b"Content-Length: -1\r\n\r\n", "Content-Length"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "Content-Length"),
        (OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"),
        (OK + b"Content-Length: 99999999999999999999999\r\n\r\n", "Content-Length"),
        (OK + f"Content-Length: {MOST_BODY + 1}\r\n\r\n".encode(), "more than 64 MiB"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
        (OK + b"na me: x\r\n\r\n", "Invalid header token"),
        (OK + b"name: a\0b\r\n\r\n", "Invalid header value"),
        (OK + b"a: " + b"x" * 70_000 + b"\r\n\r\n", "more than 64 KiB"),
        (OK + b"a: b\r\n" * 300 + b"\r\n", "more than 255 fields"),
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "changes the protocol",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 70_000, "more than 64 KiB"),
    ],
)
def test_a_bad_answer_is_an_error_with_its_reason(
    js: NativeRunner, answer: bytes, told: str
) -> None:
    with raw_server(answer) as url:
        refused = refusal(js, "fetch(url).then((r) => r.text())", url=url)
    assert refused.startswith(f"TypeError: GET {url}: "), refused
    assert told in refused


def test_odd_answers_that_are_good(js: NativeRunner) -> None:
    answers = {
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200\r\nA: \xe4\r\nContent-Length: 1\r\n\r\nxyz": [
            "",
            "ä",
            "x",
        ],
        b"HTTP/1.0 200 Fine\r\n\r\nuntil the end": ["Fine", None, "until the end"],
        b"HTTP/1.1 204 None\r\n\r\n": ["None", None, ""],
    }
    for answer, expected in answers.items():
        with raw_server(answer) as url:
            told = value(
                js,
                "await (async (r) => [r.statusText, r.headers.get('a'), await"
                " r.text()])(await fetch(url))",
                url=url,
            )
        assert told == expected


def test_lost_connections(js: NativeRunner) -> None:
    """Resets come before and after what is sent: either way that is what is told."""
    many = 200
    told = (
        "await (async (kinds) => { for (let i = 0; i < args.n; ++i)"
        " kinds.add(await fetch(url).catch((e) => e.message)); return [...kinds]; })(new Set())"
    )
    with resetting_server(many) as url:
        assert value(js, told, url=url, n=many) == [f"GET {url}: Connection reset by peer"]
    assert "Connection refused" in refusal(js, "fetch(url)", url=url)


def packed_answer(coding: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


TEXT = b"packed " * 30_000
RAW = zlib.compress(TEXT)[2:-4]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("X-GZip", gzip.compress(TEXT[:70_000]) + gzip.compress(TEXT[70_000:])),
        ("gzip", gzip.compress(TEXT) + bytes(9)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", RAW),
        ("identity", TEXT),
        ("deflate, identity, gzip", gzip.compress(zlib.compress(TEXT))),
    ],
    # gzip's header has the time: a name made of it would differ from one worker to the next.
    ids=["gzip", "two in one", "padded", "deflate", "bare deflate", "as it is", "one in another"],
)
def test_packed_bodies_are_unpacked(js: NativeRunner, coding: str, body: bytes) -> None:
    with raw_server(packed_answer(coding, body)) as url:
        assert value(js, "await (await fetch(url)).text()", url=url) == TEXT.decode()


@pytest.mark.parametrize(
    ("coding", "body", "told"),
    [
        ("br", b"x", "packed by br, and only gzip and deflate"),
        ("gzip", TEXT[:100], "no good compressed data"),
        ("gzip", gzip.compress(TEXT)[:-20], "no good compressed data"),
        ("deflate", b"\xff" * 9, "no good compressed data"),
        ("gzip", gzip.compress(bytes(MOST_BODY + 1)), "unpacked it has more than 64 MiB"),
        (", ".join(["gzip"] * 6), b"x", "packed over and over"),
    ],
    ids=["unknown", "not gzip", "cut off", "not deflate", "bomb", "over and over"],
)
def test_what_cannot_be_unpacked_says_why(
    js: NativeRunner, coding: str, body: bytes, told: str
) -> None:
    with raw_server(packed_answer(coding, body)) as url:
        assert told in refusal(js, "fetch(url).then((r) => r.bytes())", url=url)


def test_of_nothing_nothing_is_unpacked(js: NativeRunner) -> None:
    with raw_server(packed_answer("br", b"x").partition(b"\r\n\r\n")[0] + b"\r\n\r\n") as url:
        told = "(await (await fetch(url, {method: 'HEAD'})).bytes()).length"
        assert value(js, told, url=url) == 0
