"""A warmed interpreter that is dumped while it waits, and whose every restored copy serves.

Started as `python3.11 -S -I criu_program.py FOLDER`. Makes `FOLDER/warm` when it is, and waits
until `FOLDER/box/name` is there: each copy sees a box of its own. It reports with that name at
`FOLDER/meet`. Imports nothing of the project but the caller.
"""

from __future__ import annotations

import os
import sys
import time

PATIENCE = 60_000


def wait_for_name(path: str) -> str:
    """Return what is in the file once it is there; exit if it does not come in about a minute."""
    for _ in range(PATIENCE):
        try:
            with open(path) as file:  # noqa: PTH123
                return file.read()
        except FileNotFoundError:
            time.sleep(0.001)
    raise SystemExit("nobody gave this copy a name")


if __name__ == "__main__":
    # Only then does `-I` find the neighbour.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    caller = __import__("caller")
    folder = sys.argv[1]
    os.mkdir(f"{folder}/warm")  # noqa: PTH102
    given = wait_for_name(f"{folder}/box/name")
    caller.serve(caller.connect(f"{folder}/meet"), given)
