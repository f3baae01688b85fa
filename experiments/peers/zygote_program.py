"""The zygote: imports what functions commonly need, then forks a caller for each line it reads.

Started as `python3.11 -S -I zygote_program.py`. Each line on standard input is `PLACE NAME`, as
`caller.py` takes them. Ends with its input. Imports nothing of the project but the caller.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

PRELOADED = ("asyncio", "decimal", "hashlib", "http.client", "json", "random", "re")


def main() -> None:
    """Fork until the input ends."""
    # Only then does `-I` find the neighbour.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    caller = __import__("caller")
    for name in PRELOADED:
        __import__(name)
    # Children reap themselves, and the collector's marks do not copy the parent's pages.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        place, name = line.split()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(0)
            caller.serve(caller.connect(place), name)
            os._exit(0)


if __name__ == "__main__":
    main()
