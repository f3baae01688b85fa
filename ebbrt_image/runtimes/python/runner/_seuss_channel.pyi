"""Types of the C module in ../ChannelModule.c."""

class ProtocolError(Exception):
    """The peer's bytes are no frame; the stream cannot be followed any further."""

def capture() -> int:
    """Have our kernel take a snapshot of this context; return its number.

    0 in a copy, which goes on from here; -1 if none was taken, as under Linux.
    """

class Channel:
    """Frames (wire format v1) over a file descriptor with stream semantics."""

    def __init__(self, descriptor: int) -> None: ...
    def receive(self) -> tuple[int, int, bytes] | None:
        """Return (type, request id, payload), or None at the end of the stream."""

    def exchange(
        self, kind: int, request: int, payload: str | bytes, /
    ) -> tuple[int, int, bytes] | None:
        """Send a frame, then receive one, with nothing run in between."""

    def send(self, kind: int, request: int, payload: str | bytes, /) -> None:
        """Send one frame whole; a payload of up to about 1 KB takes one write."""
