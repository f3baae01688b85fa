"""Say which place a function may not reach, where the kernel has no more than an error number."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HINT = "Only what was given with --network HOST:PORT can be reached"


def explain(socket_class: Any, namespace: dict[str, Any]) -> None:
    """Have refused connections and unknown names explained; run at the end of module `socket`."""
    plain_connect: Callable[[object, object], None] = socket_class.connect
    plain_lookup: Callable[..., object] = namespace["getaddrinfo"]
    unknown: type[OSError] = namespace["gaierror"]

    def connect(self: object, address: object) -> None:
        try:
            plain_connect(self, address)
        except PermissionError as error:
            told = f"this function may not reach {_place(address)}. {HINT}"
            raise PermissionError(error.errno, told) from None

    def getaddrinfo(
        host: object, port: object, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> object:
        try:
            return plain_lookup(host, port, family, type, proto, flags)
        except unknown as error:
            told = f"{error.strerror}: {_text(host)}. {HINT}"
            raise unknown(error.errno, told) from None

    socket_class.connect = connect
    namespace["getaddrinfo"] = getaddrinfo


def _place(address: object) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{_text(address[0])}:{address[1]}"
    return _text(address)


def _text(host: object) -> str:
    return host if isinstance(host, str) else repr(host)
