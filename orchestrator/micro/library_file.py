"""A look at a built library: it must need nothing of the process that loads it."""

from __future__ import annotations

import pathlib
import re
import subprocess

from orchestrator.errors import FunctionFileError, MicroError

EXPORT = "MICRO_LIBRARY"
ACTIVE_ENTRIES = ("(NEEDED)", "(INIT)", "(FINI)", "(INIT_ARRAY)", "(FINI_ARRAY)", "(TEXTREL)")
"""Entries of the dynamic section with which loading would do more than map and relocate."""
SEGMENT = re.compile(r" *LOAD +(?:0x[0-9a-f]+ +){4}0x(?P<size>[0-9a-f]+) +(?P<rights>[RWE ]+) 0x")
"""A line of readelf's table of segments."""
MOST_STATICS = 256 << 10
"""Bytes of writable memory: they are copied back after every call that did not return, and the next
request waits for that."""
SYMBOL = re.compile(r" *\d+: [0-9a-f]{16} +\w+ \w+ +\w+ +\w+ +(?P<section>\w+) (?P<name>[^ @]+)")
"""A line of readelf's table of dynamic symbols."""


def check_library(path: pathlib.Path, name: str) -> None:
    """Raise MicroError unless the library imports nothing, exports one table, runs nothing;
    FunctionFileError if its statics are too large.
    """
    command = ["/usr/bin/readelf", "--wide", "--dyn-syms", "--dynamic", "--program-headers"]
    command.append(str(path))
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MicroError(
            f"{command[0]} cannot be run ({error.strerror}). Run `make setup`.", command=command
        ) from error
    statics = sum(
        int(segment["size"], 16)
        for segment in map(SEGMENT.match, done.stdout.splitlines())
        if segment and "W" in segment["rights"]
    )
    if statics > MOST_STATICS:
        raise FunctionFileError(
            name,
            f"refused: its statics take {statics} bytes; at most {MOST_STATICS} can be. "
            "Allocate instead.",
        )
    faults = [done.stderr.strip()] if done.returncode != 0 else _faults(done.stdout)
    if faults:
        raise MicroError(
            f"{name}: the library that was built must not be loaded: {'; '.join(faults)}. "
            "This is a fault of the build: do not go round it.",
            command=command,
        )


def _faults(listing: str) -> list[str]:
    faults, exports = [], []
    for line in listing.splitlines():
        words = line.split()
        if any(entry in line for entry in ACTIVE_ENTRIES):
            faults.append(f"it has a dynamic entry {words[1]}")
        elif words[:1] == ["TLS"]:
            faults.append("it has thread-local storage")
        elif (words[:1] == ["GNU_STACK"] and "E" in words[-2]) or (
            (segment := SEGMENT.match(line)) and {"W", "E"} <= set(segment["rights"])
        ):
            faults.append("it has memory to write and to execute")
        elif symbol := SYMBOL.match(line):
            if symbol["section"] == "UND":
                faults.append(f"it imports {symbol['name']}")
            else:
                exports.append(symbol["name"])
    if exports != [EXPORT]:
        faults.append(f"it exports {', '.join(exports) or 'nothing'} instead of {EXPORT}")
    return faults
