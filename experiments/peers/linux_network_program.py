"""The first process of a Linux VM with a network card: brings the card up, then is the caller.

Started as `python3.11 -S -I linux_network_program.py PLACE NAME`, as `caller.py` is. Loads the
modules that lie in `/modules` by the order of their names, and gives the first card the address
that QEMU's user-mode network keeps for it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

ADDRESS, MASK, GATEWAY = "10.0.2.15", "255.255.255.0", "10.0.2.2"
CARD = b"eth0"
_FINIT_MODULE = 313
_SIOCADDRT, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x890B, 0x8914, 0x8916, 0x891C
_UP_AND_RUNNING, _ROUTE_BY_GATEWAY = 0x41, 0x3


def load_modules(folder: str) -> None:
    """Load every module of a folder; OSError that names the one that cannot be."""
    system = ctypes.CDLL(None, use_errno=True)
    for name in sorted(os.listdir(folder)):  # noqa: PTH208
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY)
        if system.syscall(_FINIT_MODULE, descriptor, b"", 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
        os.close(descriptor)


def bring_up(card: bytes) -> None:
    """Give a card its address and a route to everywhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def ask(request: int, data: bytes) -> None:
            fcntl.ioctl(control, request, struct.pack("16s", card) + data)

        ask(_SIOCSIFADDR, _socket_address(ADDRESS) + bytes(8))
        ask(_SIOCSIFNETMASK, _socket_address(MASK) + bytes(8))
        ask(_SIOCSIFFLAGS, struct.pack("h22x", _UP_AND_RUNNING))
        everywhere = _socket_address("0.0.0.0")
        route = everywhere + _socket_address(GATEWAY) + everywhere
        # struct rtentry: padding in front and behind.
        entry = struct.pack("8x48sH62x", route, _ROUTE_BY_GATEWAY)
        fcntl.ioctl(control, _SIOCADDRT, entry)


def _socket_address(address: str) -> bytes:
    """Return struct sockaddr_in."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


if __name__ == "__main__":
    # Only then does `-I` find the neighbour.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    caller = __import__("caller")
    load_modules("/modules")
    bring_up(CARD)
    caller.serve(caller.connect(sys.argv[1]), sys.argv[2])
