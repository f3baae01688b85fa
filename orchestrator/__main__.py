"""Where the `seuss` command begins: importing takes a moment, and Ctrl-C may come in it."""

from __future__ import annotations

import sys

EXIT_INTERRUPTED = 130


def run() -> None:
    """Run the command line; Ctrl-C ends it with its documented status at any time."""
    try:
        from orchestrator.cli import main

        main(prog_name="seuss")
    except KeyboardInterrupt:
        sys.stderr.write("seuss: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    run()
