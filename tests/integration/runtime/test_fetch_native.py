"""fetch and what belongs to it, natively, against a good server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.runtime.fetching import raw_server, refusal, value
from tests.integration.runtime.native_runner import JAVASCRIPT, NativeRunner

AT_ONCE = 20
LARGE = 3_000_000
STREAMED = 24_000_000
"""More than the buffers of both ends hold together."""


@pytest.fixture(scope="module")
def js() -> Iterator[NativeRunner]:
    with NativeRunner(program=JAVASCRIPT) as runner:
        yield runner


class Site(BaseHTTPRequestHandler):
    """Echoes requests; a path may ask for something else."""

    protocol_version = "HTTP/1.1"
    gate = threading.Barrier(AT_ONCE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path, _, rest = self.path.partition("?")
        if path == "/together":
            # Answered only once all of them are here.
            self.gate.wait(20)
            self._answer(rest.encode())
        elif path == "/large":
            self._answer(bytes(range(256)) * (LARGE // 256))
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one ", b"two ", "drei ü".encode()):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.write(b"0\r\nLate: field\r\n\r\n")
        elif path.startswith("/to/"):
            self.send_response(int(path[4:7]))
            self.send_header("Location", rest)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/missing":
            self._answer(b"nothing here", 404)
        elif path == "/echo":
            self._echo(int(self.headers["Content-Length"]))
        elif path == "/never":
            threading.Event().wait(0.3)
        else:
            size = int(self.headers.get("Content-Length", "0"))
            told = f"{self.command} {self.path}\n{self.headers}".encode() + self.rfile.read(size)
            self._answer(told)

    def _echo(self, size: int) -> None:
        """Answer while reading, as a proxy does: who does not listen meanwhile never ends."""
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.connection.setsockopt(socket.SOL_SOCKET, option, 1 << 16)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        while size > 0:
            piece = self.rfile.read(min(size, 1 << 16))
            size -= len(piece)
            self.wfile.write(piece)

    do_POST = do_PUT = do_PATCH = do_patch = do_HEAD = do_DELETE = do_GET

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class SiteServer(ThreadingHTTPServer):
    request_queue_size = 128


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with SiteServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_document_comes(js: NativeRunner, site: str) -> None:
    told = value(
        js,
        "await (async (r) => [r.status, r.statusText, r.ok, r.url, r.redirected, r.type,"
        " r.headers.get('Content-length'), r.headers.getSetCookie(), await r.text(), r.bodyUsed])"
        "(await fetch(`${url}/a%20b?q=ü#part`, {headers: {'X-Own': ' yes '}}))",
        url=site,
    )
    assert isinstance(told, list)
    *head, length, cookies, text, used = told
    shown = f"{site}/a%20b?q=%C3%BC"
    assert head == [200, "OK", True, shown, False, "basic"]
    assert (int(length), cookies, used) == (len(text), ["a=1", "b=2"], True)
    lines = text.splitlines()
    assert lines[0] == "GET /a%20b?q=%C3%BC"
    assert {"x-own: yes", "connection: close", f"host: {site[7:]}", "accept: */*"} <= set(lines)


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ("'tölt'", "text/plain;charset=UTF-8", "tölt"),
        (
            "new URLSearchParams({a: 'b c'})",
            "application/x-www-form-urlencoded;charset=UTF-8",
            "a=b+c",
        ),
        ("new TextEncoder().encode('xbytesx').subarray(1, 6)", None, "bytes"),
        ("new TextEncoder().encode('buffer').buffer", None, "buffer"),
    ],
)
def test_a_body_goes(js: NativeRunner, site: str, body: str, kind: str | None, sent: str) -> None:
    told = value(js, f"await (await fetch(url, {{method: 'post', body: {body}}})).text()", url=site)
    assert isinstance(told, str)
    head, _, got = told.partition("\n\n")
    assert head.startswith("POST /\n") and got == sent
    assert (f"content-type: {kind}" in head) == (kind is not None)
    assert f"content-length: {len(sent.encode())}" in head


def test_what_frames_a_message_is_not_the_functions(js: NativeRunner, site: str) -> None:
    headers = "{'Content-Length': '5', 'Transfer-Encoding': 'chunked', Host: 'elsewhere'}"
    told = value(js, f"await (await fetch(url, {{headers: {headers}}})).text()", url=site)
    assert isinstance(told, str)
    assert "elsewhere" not in told and "chunked" not in told and "content-length" not in told


def test_large_and_chunked_bodies(js: NativeRunner, site: str) -> None:
    told = value(
        js,
        "[(await (await fetch(url + '/large')).bytes()).reduce((sum, byte, i) =>"
        " (sum + byte * (i % 7)) | 0),"
        " await (await fetch(url + '/chunked')).text(),"
        " (await (await fetch(url, {method: 'PUT', body:"
        " 'y'.repeat(3e6)})).arrayBuffer()).byteLength > 3e6,"
        " (await (await fetch(url + '/large', {method: 'HEAD'})).arrayBuffer()).byteLength]",
        url=site,
    )
    data = bytes(range(256)) * (LARGE // 256)
    assert told == [sum(byte * (i % 7) for i, byte in enumerate(data)), "one two drei ü", True, 0]


def test_many_run_at_the_same_time(js: NativeRunner, site: str) -> None:
    told = value(
        js,
        "await Promise.all(Array.from({length: args.n}, async (_, i) =>"
        " (await fetch(`${url}/together?${i}`)).text()))",
        url=site,
        n=AT_ONCE,
    )
    assert told == [str(i) for i in range(AT_ONCE)]


def test_json_and_other_statuses(js: NativeRunner, site: str) -> None:
    assert value(
        js,
        "await (async (r, m) => [r.ok, r.status, await r.text(), await m.json(),"
        " m.headers.get('content-type')])"
        "(await fetch(url + '/missing'), Response.json({a: [1]}))",
        url=site,
    ) == [False, 404, "nothing here", {"a": [1]}, "application/json"]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "GET", "GET"),
    ],
)
def test_redirects_are_followed(
    js: NativeRunner, site: str, status: int, method: str, then: str
) -> None:
    body = "" if method in ("GET", "HEAD") else ", body: 'kept'"
    told = value(
        js,
        f"await (async (r) => [r.redirected, r.url, await r.text()])"
        f"(await fetch(`${{url}}/to/{status}?/there`, {{method: '{method}'{body}}}))",
        url=site,
    )
    assert isinstance(told, list)
    assert told[:2] == [True, f"{site}/there"]
    if then == "HEAD":
        assert told[2] == ""
        return
    assert told[2].startswith(f"{then} /there\n")
    assert told[2].endswith("kept") == (then == method != "GET")
    assert ("content-type" in told[2]) == told[2].endswith("kept")


def test_redirects_have_limits(js: NativeRunner, site: str) -> None:
    around = f"{site}/to/302?/to/302?/x"
    assert value(js, "(await fetch(url, {redirect: 'manual'})).status", url=around) == 302
    assert "not wanted" in refusal(js, "fetch(url, {redirect: 'error'})", url=around)
    circle = f"{site}/to/307?"
    assert "more than 20" in refusal(js, "fetch(url)", url=circle)
    assert "https: is not there" in refusal(js, "fetch(url)", url=f"{site}/to/301?https://x/")
    assert "no URL" in refusal(js, "fetch(url)", url=f"{site}/to/301?http://[")
    secret = f"{site}/to/302?{site.replace('://', '://user:secret@')}/"
    assert "a user or a password" in refusal(js, "fetch(url)", url=secret)


def test_places_are_utf8(js: NativeRunner, site: str) -> None:
    there = f"{site}/b\u00fc?q=\u20ac"
    away = f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"
    with raw_server(away.encode()) as url:
        told = value(js, "(await fetch(url)).url", url=url)
    assert told == f"{site}/b%C3%BC?q=%E2%82%AC"


def test_what_is_sent_as_it_is_said(js: NativeRunner, site: str) -> None:
    sent = "(await (await fetch(url, {method: args.method})).text())"
    assert "content-length: 0" in str(value(js, sent, url=site, method="PATCH"))
    # Only the methods of old are put right, as elsewhere.
    assert str(value(js, sent, url=site, method="patch")).startswith("patch /\n")
    assert value(js, "(await fetch(url, null)).status", url=site) == 200


def test_who_sends_listens(js: NativeRunner, site: str) -> None:
    told = value(
        js,
        "await (async (body) => { const got = await (await fetch(url + '/echo',"
        " {method: 'POST', body})).bytes(); return got.length === body.length &&"
        " got.every((byte, i) => byte === body[i]); })"
        "(new Uint8Array(args.size).map((_, i) => i >> 8))",
        url=site,
        size=STREAMED,
    )
    assert told is True


def test_time_limits_and_aborts(js: NativeRunner, site: str) -> None:
    never = f"{site}/never"
    told = refusal(js, "fetch(url, {signal: AbortSignal.timeout(20)})", url=never)
    assert told == "TimeoutError: the time is over"
    stopped = (
        "(async (c) => { setTimeout(() => c.abort(), 5); return fetch(url, {signal: c.signal}); })"
    )
    told = refusal(js, f"{stopped}(new AbortController())", url=never)
    assert told == "AbortError: the operation was aborted"
    assert (
        refusal(js, "fetch(url, {signal: AbortSignal.abort(new Error('mine'))})", url=never)
        == "Error: mine"
    )
    assert value(
        js,
        "await (async (c, seen) => { const any = AbortSignal.any([c.signal]);"
        " any.onabort = () => seen.push('on'); any.addEventListener('abort',"
        " ({type}) => seen.push(type));"
        " c.abort(1); c.abort(2); return [seen, any.aborted, any.reason]; })(new"
        " AbortController(), [])",
    ) == [["abort", "on"], True, 1]


def test_times_that_are_none_or_long(js: NativeRunner) -> None:
    for time in ("NaN", "Infinity", "-1", "'soon'"):
        assert "is no time in ms" in refusal(js, f"(async () => AbortSignal.timeout({time}))()")
    waited = "(async (s) => { await new Promise((r) => setTimeout(r, 30)); return s.aborted; })"
    assert value(js, f"await {waited}(AbortSignal.timeout(2 ** 40))") is False


def test_requests_responses_and_their_copies(js: NativeRunner, site: str) -> None:
    assert value(
        js,
        "await (async () => { const r = new Request(url, {method: 'POST', body:"
        " 'one'}); const c = r.clone();"
        " const s = await fetch(r); const t = s.clone(); const a = await s.text();"
        " return [r.bodyUsed, await c.text(), a === await t.text(),"
        " a.endsWith('one'), t.status]; })()",
        url=site,
    ) == [True, "one", True, True, 200]
    assert "read already" in refusal(
        js, "(async (r) => { await r.text(); await r.text(); })(new Response('x'))"
    )


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("fetch('https://127.0.0.1/')", "https: is not there in JavaScript"),
        ("fetch('file:///etc/passwd')", "there is no file:"),
        ("fetch('nowhere')", "Invalid URL"),
        ("fetch('http://user:secret@127.0.0.1/')", "no user and no password"),
        ("fetch('http://[::1]/')", "IPv6"),
        ("fetch('http://127.0.0.1/', {method: 'CONNECT'})", "no method"),
        ("fetch('http://127.0.0.1/', {method: 'A B'})", "no method"),
        ("fetch('http://127.0.0.1/', {body: 'x'})", "GET has no body"),
        (
            "fetch(new Request('http://127.0.0.1/', {method: 'POST', body: 'x'}), {method: 'GET'})",
            "GET has no body",
        ),
        ("fetch('http://127.0.0.1/', {integrity: 'sha256-AAAA'})", "integrity is not checked"),
        (
            "fetch('http://127.0.0.1/', {method: 'POST', body: (async function* () {})()})",
            "there are no streams",
        ),
        ("fetch('http://127.0.0.1/', {headers: {'a b': 'c'}})", "no name of a header"),
        ("fetch('http://127.0.0.1/', {headers: {a: 'b\\r\\nc: d'}})", "no value of a header"),
        ("fetch('http://127.0.0.1/', {headers: {a: 'ł'}})", "no value of a header"),
        ("fetch('http://no.such.host.invalid/')", "may reach no host no.such.host.invalid"),
    ],
)
def test_what_cannot_be_says_why(js: NativeRunner, expression: str, told: str) -> None:
    refused = refusal(js, expression)
    assert refused.startswith("TypeError: ") and told in refused


def few_descriptors() -> NativeRunner:
    return NativeRunner(
        wrapper=("/bin/sh", "-c", 'ulimit -n 40; exec "$@"', "sh"), program=JAVASCRIPT
    )


def test_more_at_once_than_there_are_descriptors(site: str) -> None:
    code = """
async function main({url}) {
  const told = Array.from({length: 150}, async (_, i) => (await fetch(`${url}/${i}`)).text());
  return {told: (await Promise.all(told)).map((text) => text.split("\\n")[0])};
}
"""
    with few_descriptors() as few:
        assert few.result_of(code, {"url": site}) == {"told": [f"GET /{i}" for i in range(150)]}


def test_who_waits_for_what_nobody_reads_is_told(site: str) -> None:
    code = """
async function main({url}) {
  const kept = [];
  try {
    for (;;) kept.push(await fetch(url + "/large"));
  } catch (error) {
    return {told: error.message, many: kept.length > 20};
  }
}
"""
    with few_descriptors() as few:
        told = few.result_of(code, {"url": site})
    assert told["many"] and "there are no descriptors left" in told["told"]


@pytest.mark.parametrize("signal", ["new AbortController().signal", "SIGNAL"])
def test_what_nobody_reads_is_given_up(js: NativeRunner, site: str, signal: str) -> None:
    """More responses than there may be descriptors, none of them read."""
    code = f"""
const SIGNAL = new AbortController().signal;
async function main({{url}}) {{
  for (let i = 0; i < 200; ++i) {{
    const kept = await fetch(url + "/large", {{signal: {signal}}});
    kept.own = kept;
  }}
  return {{length: (await (await fetch(url + "/large")).bytes()).length}};
}}
"""
    with few_descriptors() as few:
        assert few.result_of(code, {"url": site}) == {"length": LARGE // 256 * 256}
