"""The program inside every peer: takes a function and calls it, over one byte stream.

Started as `python3.11 -S -I caller.py PLACE NAME`: PLACE is a unix socket to connect to, or a
terminal. Says `ready NAME`; then each line it reads is the literal `(source or None, arguments or
None)`, and each line it answers `(True, result)` or `(False, message)`. Literals and not JSON, and
built-in modules only, so that a function pays for nothing that it does not use. It stands alone:
a peer's world holds nothing else of the project.
"""

from __future__ import annotations

import os
import stat
import sys


def connect(place: str) -> int:
    """Return a file descriptor of the stream at `place`."""
    if not stat.S_ISSOCK(os.stat(place).st_mode):  # noqa: PTH116
        import termios

        terminal = os.open(place, os.O_RDWR | os.O_NOCTTY)
        settings = termios.tcgetattr(terminal)
        settings[:2], settings[3] = [0, 0], 0  # bytes as they are: no echo, no lines, no signals
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        return terminal
    import _socket  # built in; `socket` would bring in a dozen modules

    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    stream.connect(place)
    return stream.detach()


def serve(descriptor: int, name: str) -> None:
    """Answer until the stream ends."""
    space: dict[str, object] = {}
    with open(descriptor, "rb") as orders, open(descriptor, "wb", closefd=False) as answers:
        answers.write(b"ready %s\n" % name.encode())
        answers.flush()
        for line in orders:
            source, arguments = eval(line)
            try:
                if source is not None:
                    space = {"__name__": "function"}
                    exec(compile(source, "function", "exec"), space)
                answer: tuple[bool, object] = (True, {})
                if arguments is not None:
                    answer = (True, space["main"](arguments))  # type: ignore[operator]
            except Exception as error:
                answer = (False, f"{type(error).__name__}: {error}")
            answers.write(repr(answer).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    serve(connect(sys.argv[1]), sys.argv[2])
