"""The runtimes that functions are written for: one image each, one entry here each.

A runtime is a folder in `ebbrt_image/runtimes/`; its image is `build/ebbrt-NAME.elf`.
"""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass

from orchestrator.errors import SettingsError


@dataclass(frozen=True)
class Runtime:
    """One runtime: how its functions look, and what warms its paths up."""

    name: str
    """The folder's name, and what READY frames say."""
    suffixes: tuple[str, ...]
    """Endings of a function's single file, with the dot."""
    entries: tuple[str, ...]
    """Files of which a zip has one at its top."""
    rehearsal: bytes
    """A function that takes and returns an object, prints a line, and leaves no trace behind."""
    comment: str
    """What begins a comment that goes to the line's end."""
    point: str
    """What its functions call `seuss` by to mark a snapshot point."""
    rehearses: bool
    """Whether it takes OPTIMISE at a snapshot point, too."""


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            "python",
            (".py",),
            ("__main__.py",),
            b"import json\n\ndef main(args):\n    print('ready')\n"
            b"    return json.loads(json.dumps(args))",
            comment="#",
            point="snapshot_point",
            rehearses=True,
        ),
        Runtime(
            "js",
            (".js", ".mjs"),
            ("index.js", "index.mjs"),
            b"exports.main = (args) => {\n  console.log('ready');\n"
            b"  return JSON.parse(JSON.stringify(args));\n};\n",
            comment="//",
            point="snapshotPoint",
            rehearses=False,
        ),
    )
}
"""By name; the first is the default."""

DEFAULT_RUNTIME = next(iter(RUNTIMES))


def find_runtime(name: str) -> Runtime:
    """Return the runtime of that name. Raises SettingsError."""
    if name not in RUNTIMES:
        raise SettingsError(
            f"The runtime {name!r} does not exist. Choose one of: {', '.join(RUNTIMES)}."
        )
    return RUNTIMES[name]


def runtime_of_suffix(suffix: str) -> Runtime | None:
    """Return the runtime whose functions' files end so, if there is one."""
    return next((each for each in RUNTIMES.values() if suffix.lower() in each.suffixes), None)


def default_image(runtime: str = DEFAULT_RUNTIME) -> pathlib.Path:
    """Return $SEUSS_IMAGE, or build/ebbrt-NAME.elf of the checkout this package lies in.

    $SEUSS_IMAGE names the default runtime's image; another's is expected beside it.
    """
    file = f"ebbrt-{runtime}.elf"
    named = os.environ.get("SEUSS_IMAGE")
    if named:
        image = pathlib.Path(named)
        return image if runtime == DEFAULT_RUNTIME else image.with_name(file)
    return pathlib.Path(__file__).resolve().parent.parent / "build" / file
