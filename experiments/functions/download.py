"""IO-bound: one long download, whose bytes are looked at where they come in."""

import socket

_BUFFER = 1 << 18
_WORD = 8


def main(args: dict[str, str]) -> dict[str, object]:
    """Read what `args["server"]` (HOST:PORT) sends until it ends: its k-th word of 8 bytes is k.

    Returns the bytes and, of the first whole word of each piece received, how many were not right.
    """
    host, _, port = args["server"].rpartition(":")
    total = wrong = 0
    buffer = bytearray(_BUFFER)
    with socket.create_connection((host, int(port)), timeout=60) as stream:
        while count := stream.recv_into(buffer):
            skipped = -total % _WORD
            if skipped + _WORD <= count:
                word = int.from_bytes(buffer[skipped : skipped + _WORD], "little")
                wrong += word != (total + skipped) // _WORD
            total += count
    return {"bytes": total, "wrong": wrong}
