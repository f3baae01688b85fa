"""TLS clients in functions, against servers of this process with certificates of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import pathlib
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from orchestrator.paths import Path
from orchestrator.settings import Isolation
from tests.integration.calling_out import (
    HOST,
    Server,
    digest,
    document,
    may_reach,
    running,
    settings,
)

FETCH = b"""
import asyncio, hashlib, ssl, urllib.request

async def stream(args, context):
    reader, writer = await asyncio.open_connection(args["host"], args["port"], ssl=context)
    writer.write(b"GET /7 HTTP/1.0\\r\\n\\r\\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\\r\\n\\r\\n")[2]

def main(args):
    with open("/tmp/trusted.pem", "w") as file:
        file.write(args["trusted"])
    found = []
    for context in (
        ssl.create_default_context(cadata=args["trusted"]),
        ssl.create_default_context(cafile="/tmp/trusted.pem"),
    ):
        url = f"https://{args['host']}:{args['port']}/7"
        with urllib.request.urlopen(url, context=context, timeout=20) as answer:
            found.append(answer.read())
        found.append(asyncio.run(stream(args, context)))
    return {"digests": [hashlib.sha256(each).hexdigest() for each in found]}
"""
TRY = b"""
import socket, ssl

def main(args):
    context = ssl.create_default_context(cadata=args["trusted"])
    try:
        with socket.create_connection((args["host"], args["port"]), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname=args["name"]) as made:
                return {"version": made.version()}
    except ssl.SSLError as error:
        return {"error": type(error).__name__, "reason": error.verify_message}
"""
DEFAULT = b"""
import socket, ssl, urllib.error, urllib.request

def main(args):
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    everyone = ssl.create_default_context(cafile=paths.capath + "/ca-certificates.crt")
    try:
        urllib.request.urlopen(f"https://{args['host']}:{args['port']}/7", timeout=20)
    except urllib.error.URLError as error:
        return {"trusted": len(everyone.get_ca_certs()), "reason": error.reason.verify_message}
"""
GREET = b"""
import seuss, socket, ssl

CONTEXT = ssl.create_default_context()

def greeting():
    sent = ssl.MemoryBIO()
    try:
        CONTEXT.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="tls.example").do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()

BEFORE = greeting()

def main(args):
    greeting()
    args = seuss.snapshot_point("host")
    with socket.create_connection((args["host"], args["port"]), timeout=20) as made:
        made.sendall(greeting())
        made.recv(1)
    return {}
"""

X25519_SHARE = bytes.fromhex("0033 0026 0024 001d 0020")
"""What comes before the 32 bytes of the key in a TLS 1.3 greeting with one share of X25519."""


def days(count: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=count)


@contextlib.asynccontextmanager
async def serving(certificate: trustme.LeafCert) -> AsyncIterator[Server]:
    told = Server(0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    listening = await asyncio.start_server(told.serve, "127.0.0.1", 0, ssl=context)
    told.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield told


def forged(authorities: list[bytes]) -> trustme.LeafCert:
    """Return a certificate in the name of one of these (DER), signed with another key."""
    known = (x509.load_der_x509_certificate(each) for each in authorities)
    # OpenSSL takes only one with the same kind of key for the issuer.
    like = next(each for each in known if isinstance(each.public_key(), ec.EllipticCurvePublicKey))
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(
            issuer_name=like.subject,
            subject_name=x509.Name([]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=days(-1),
            not_valid_after=days(1),
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address(HOST))]),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return trustme.LeafCert(private, certificate.public_bytes(Encoding.PEM), [])


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_a_function_fetches_over_tls(tmp_path: pathlib.Path, isolation: Isolation) -> None:
    authority = trustme.CA()
    async with (
        serving(authority.issue_cert(HOST)) as server,
        running(settings(tmp_path, isolation)) as dispatcher,
    ):
        function = may_reach(FETCH, f"{HOST}:{server.port}")
        place = {"host": HOST, "port": server.port, "trusted": pem(authority)}
        for path in (Path.COLD, Path.WARM):
            answer = await dispatcher.invoke(function, place, path)
            assert answer.result == {"digests": [digest(document("/7"))] * 4}, answer
    assert (server.answered, server.open) == (8, 0)


async def test_wrong_certificates_are_refused(tmp_path: pathlib.Path) -> None:
    authority = trustme.CA()
    cases = [
        (trustme.CA().issue_cert(HOST), HOST, "unable to get local issuer certificate"),
        (
            authority.issue_cert("other.example"),
            "tls.example",
            "Hostname mismatch, certificate is not valid for 'tls.example'.",
        ),
        (
            authority.issue_cert("tls.example"),
            HOST,
            f"IP address mismatch, certificate is not valid for '{HOST}'.",
        ),
        (
            authority.issue_cert(HOST, not_before=days(-9), not_after=days(-1)),
            HOST,
            "certificate has expired",
        ),
        (
            authority.issue_cert(HOST, not_before=days(1), not_after=days(9)),
            HOST,
            "certificate is not yet valid",
        ),
        (authority.issue_cert("tls.example"), "tls.example", ""),
    ]
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(case[0])) for case in cases]
        dispatcher = await stack.enter_async_context(running(settings(tmp_path, "uc")))
        function = may_reach(TRY, *(f"{HOST}:{server.port}" for server in servers))
        for server, (_, name, reason) in zip(servers, cases, strict=True):
            place = {"host": HOST, "port": server.port, "trusted": pem(authority), "name": name}
            answer = await dispatcher.invoke(function, place)
            refused = {"error": "SSLCertVerificationError", "reason": reason}
            assert answer.result == (refused if reason else {"version": "TLSv1.3"}), answer


async def test_functions_trust_whom_this_machine_trusts(tmp_path: pathlib.Path) -> None:
    bundle = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
    trusted = bundle.get_ca_certs(binary_form=True)
    async with (
        serving(trustme.CA().issue_cert(HOST)) as unknown,
        serving(forged(trusted)) as known,
        running(settings(tmp_path, "uc")) as dispatcher,
    ):
        function = may_reach(DEFAULT, f"{HOST}:{unknown.port}", f"{HOST}:{known.port}")
        answer = await dispatcher.invoke(function, {"host": HOST, "port": unknown.port})
        reason = "unable to get local issuer certificate"
        assert answer.result == {"trusted": len(trusted), "reason": reason}, answer
        # It finds the authority, and that this is not its signature.
        answer = await dispatcher.invoke(function, {"host": HOST, "port": known.port})
        reason = "certificate signature failure"
        assert answer.result == {"trusted": len(trusted), "reason": reason}, answer


@pytest.mark.parametrize("path", [Path.WARM, Path.RESUMED])
@pytest.mark.parametrize("isolation", ["vm", "uc"])
async def test_clones_greet_with_randomness_of_their_own(
    tmp_path: pathlib.Path, isolation: Isolation, path: Path
) -> None:
    greetings = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        greetings.append(await reader.readexactly(int.from_bytes(head[3:])))
        writer.close()

    listening = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    function = may_reach(GREET, f"{HOST}:{port}")
    async with listening, running(settings(tmp_path, isolation)) as dispatcher:
        for _ in range(5):
            answer = await dispatcher.invoke(function, {"host": HOST, "port": port}, path)
            assert answer.ok, answer
    randoms = {greeting[6:38] for greeting in greetings}
    shares = {greeting.partition(X25519_SHARE)[2][:32] for greeting in greetings}
    assert len(greetings) == len(randoms) == len(shares) == 5
    assert all(len(share) == 32 for share in shares)
