"""The network part of anticipatory optimisation: connections, buffers and a name, used once."""

from __future__ import annotations

import select
import socket

TURNS = 4
SIZE = 32 << 10
PATIENCE_S = 30.0
HERE = "127.0.0.1"


def exercise() -> None:
    """Talk over the loopback, in streams and datagrams, and look a name up. Leaves nothing open."""
    for _ in range(TURNS):
        _connect()
        _send()
        socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)


def _connect() -> None:
    with socket.create_server((HERE, 0)) as server:
        place = server.getsockname()
        with socket.create_connection(place, PATIENCE_S) as client:
            accepted, _ = server.accept()
            with accepted:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for sender, receiver in ((client, accepted), (accepted, client)):
                    sender.sendall(bytes(SIZE))
                    received = 0
                    while received < SIZE:
                        select.select([receiver], [], [], PATIENCE_S)
                        received += len(receiver.recv(SIZE))
                client.shutdown(socket.SHUT_WR)
                accepted.recv(1)


def _send() -> None:
    kind = socket.SOCK_DGRAM
    with socket.socket(type=kind) as receiver, socket.socket(type=kind) as sender:
        receiver.bind((HERE, 0))
        receiver.settimeout(PATIENCE_S)
        sender.sendto(b"datagram", receiver.getsockname())
        receiver.recvfrom(SIZE)
