"""What a function is told of places that it may not reach."""

from __future__ import annotations

import errno
import socket

import pytest
from seuss_runner import refusals


class Refused:
    """A socket that reaches 10.0.2.2:80 only."""

    def connect(self, address: object) -> None:
        if address != ("10.0.2.2", 80):
            raise PermissionError(errno.EPERM, "Operation not permitted")


class Explained(Refused):
    pass


def look_up(host: str, port: int, *how: int) -> object:
    if host != "example.org":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return host, port, how


NAMESPACE = {"getaddrinfo": look_up, "gaierror": socket.gaierror}
refusals.explain(Explained, NAMESPACE)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (("192.0.2.1", 443), "may not reach 192.0.2.1:443. Only what was given with --network"),
        (("::1", 443, 0, 0), "may not reach ::1:443"),
        ("/run/socket", "may not reach /run/socket"),
    ],
)
def test_a_refused_connection_names_the_place(address: object, told: str) -> None:
    with pytest.raises(PermissionError, match=told) as raised:
        Explained().connect(address)
    assert raised.value.errno == errno.EPERM
    Explained().connect(("10.0.2.2", 80))


def test_an_unknown_name_is_named() -> None:
    found = NAMESPACE["getaddrinfo"]
    assert found("example.org", 80, type=socket.SOCK_STREAM) == (  # type: ignore[operator]
        *("example.org", 80),
        (0, socket.SOCK_STREAM, 0, 0),
    )
    told = "Name or service not known: other.example. Only what was given with --network"
    with pytest.raises(socket.gaierror, match=told) as raised:
        found("other.example", 80)  # type: ignore[operator]
    assert raised.value.errno == socket.EAI_NONAME
