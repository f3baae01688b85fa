"""Building functions: what may not be compiled is refused with the reason.

Three gates, each of which would do alone for most of it: the rules over the source's tokens
(micro_worker/crates/check), the compiler (`-F unsafe-code`, no `std`, no crates beside the
allow-list, no file that it says it has read beside the source), and a look at the library, which
must need nothing of the process that loads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from enum import StrEnum

from orchestrator.errors import FunctionFileError, MicroError
from orchestrator.micro import library_file
from orchestrator.micro.function import SIGNATURE, RustFunction
from orchestrator.micro.library_file import check_library
from orchestrator.micro.toolchain import ALLOWED, RUSTC, TARGET, WRAPPERS, Toolchain

LIMIT_S = 120.0
"""Seconds that one run of the compiler may take: sources can keep it busy for ever."""
LIMITS = ("/usr/bin/prlimit", "--as=4294967296", "--fsize=268435456", "--core=0")
"""What a run of the compiler may take of memory and write into one file, in bytes."""
MOST_TOLD = 20
"""Lines of the compiler's words that go into an error."""
UNSOUND = ("unaligned-references", "where-clauses-object-safety")
"""What this compiler only warns of, and what is unsound: later ones refuse it."""
UNKNOWN_NAME = frozenset({"E0432", "E0433", "E0463"})

ROOT = """\
#![no_std]
#[macro_use]
extern crate alloc;
#[path = "source.rs"]
mod source;
pub fn main(args: &[u8]) -> Result<alloc::vec::Vec<u8>, alloc::string::String> {
    source::main(args)
}
"""
"""The root of a function's crate; the source is a module of it, so it cannot undo `no_std`."""


TWO_SEGMENTS = "-Wl,-z,noseparate-code,-z,norelro"
"""One segment to execute and read, one to write, nothing to protect afterwards: half the time of a
load. Safe code can write neither constants nor relocated tables; if it could, those of its own
library would be the least of what it could reach."""


class Product(StrEnum):
    """What a function is built as; the names are those of micro_worker/wrappers."""

    ESCAPE = "escape"
    """A library whose calls are stopped by jumping out."""
    UNWIND = "unwind"
    """A library whose calls are stopped by unwinding, as in the paper."""
    PROCESS = "process"
    """A program: the baseline."""


def check(function: RustFunction, toolchain: Toolchain) -> list[str]:
    """Return why the source may not be compiled, as `line N: reason`; nothing if it may."""
    with tempfile.TemporaryDirectory(prefix="micro-") as folder:
        source = pathlib.Path(folder) / "source.rs"
        source.write_bytes(function.code)
        done = _run([str(toolchain.checker), str(source)], function)
    if done.returncode == 0:
        return []
    if done.returncode != 1:
        raise FunctionFileError(
            function.name, f"the source cannot be read: {done.stderr.strip()}. Save it as UTF-8."
        )
    return [f"line {line}" for line in done.stdout.splitlines()]


def build(
    function: RustFunction,
    toolchain: Toolchain,
    product: Product = Product.ESCAPE,
    folder: pathlib.Path | None = None,
) -> pathlib.Path:
    """Build a function and return the file; what was built before is not built again.

    Raises FunctionFileError with the reason when the function is refused, MicroError when the
    compiler cannot be run.
    """
    folder = toolchain.root / "functions" if folder is None else folder
    # With the gates in it: what passed other ones is looked at again.
    gates = hashlib.sha256(toolchain.checker.read_bytes())
    for file in (pathlib.Path(__file__), pathlib.Path(library_file.__file__)):
        gates.update(file.read_bytes())
    parts = (product, function.id, toolchain.digest(), gates.hexdigest())
    key = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
    suffix = "" if product is Product.PROCESS else ".so"
    made = folder / f"{key}{suffix}"
    if made.is_file():
        return made
    faults = check(function, toolchain)
    if faults:
        raise FunctionFileError(function.name, "refused: " + "; ".join(faults) + ".")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as name:
        work = pathlib.Path(name)
        (work / "source.rs").write_bytes(function.code)
        (work / "function.rs").write_text(ROOT, encoding="utf-8")
        rlib = _compile_function(function, toolchain, product, work)
        unfinished = work / made.name
        link(function, toolchain, product, rlib, unfinished)
        if product is Product.ESCAPE:
            check_library(unfinished, function.name)
        unfinished.replace(made)
    return made


def _compile_function(
    function: RustFunction, toolchain: Toolchain, product: Product, work: pathlib.Path
) -> pathlib.Path:
    rlib = work / "libfunction.rlib"
    command = [
        *_rustc("rlib", "function", unwinds=product is Product.UNWIND),
        *("--out-dir", str(work), "--emit", "link,dep-info"),
        *("-F", "unsafe-code", "-A", "warnings", "-C", "overflow-checks=on"),
        *(argument for lint in UNSOUND for argument in ("-F", lint)),
        *("--sysroot", str(toolchain.sysroot)),
        *crates_options({name: toolchain.guest[name] for name in ALLOWED}, toolchain),
        # Panics tell where they happened: in the function, not in this folder.
        *("--remap-path-prefix", f"{work}/=", "--error-format=json", str(work / "function.rs")),
    ]
    done = _run(command, function)
    # Before the compiler's words, which could tell what it has read.
    if foreign := _also_read(work):
        raise FunctionFileError(
            function.name,
            f"refused: a function is one file and reads no other; this one read {foreign[0]}.",
        )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise FunctionFileError(
            function.name, f"the compiler was ended by {name}: too much for it. Simplify it."
        )
    if done.returncode != 0:
        raise FunctionFileError(function.name, _why(done.stderr))
    return rlib


def _also_read(work: pathlib.Path) -> list[str]:
    """Return what the compiler has read beside the function's source, as its list for make says.

    Empty if it did not come so far as to write the list.
    """
    try:
        listed = (work / "function.d").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    # Each file has a line of its own, without what it depends on; a variable has a comment.
    files = {line.removesuffix(":") for line in listed if line.endswith(":")}
    own = {str(work / name).replace(" ", "\\ ") for name in ("function.rs", "source.rs")}
    variables = {line.removeprefix("# env-dep:") for line in listed if line.startswith("# env-dep")}
    return sorted(files - own) + sorted(variables)


def link(
    function: RustFunction,
    toolchain: Toolchain,
    product: Product,
    rlib: pathlib.Path,
    made: pathlib.Path,
) -> None:
    """Link a compiled function with what makes a library or a program of it.

    Raises MicroError: what is wrong here is not the function's fault.
    """
    crates = {"function": rlib}
    more: list[str] = []
    if product is Product.PROCESS:
        kind = "bin"
        crates["micro_channel"] = toolchain.host["micro_channel"]
    else:
        kind = "cdylib"
        crates["micro_abi"] = toolchain.guest["micro_abi"]
    if product is Product.ESCAPE:
        crates["micro_runtime"] = toolchain.guest["micro_runtime"]
        flags = "-Wl,-z,now,--no-undefined,--gc-sections,--exclude-libs,ALL,-Bsymbolic"
        more = ["--sysroot", str(toolchain.sysroot)]
        for argument in ("-nostdlib", "-nostartfiles", flags, TWO_SEGMENTS):
            more += ["-C", f"link-arg={argument}"]
    command = [
        *_rustc(kind, "function_product", unwinds=product is Product.UNWIND),
        *("-o", str(made)),
        *("-C", "strip=symbols", "-C", "linker=/usr/bin/gcc", *more),
        *crates_options(crates, toolchain, with_host=product is Product.PROCESS),
        str(WRAPPERS / f"{product}.rs"),
    ]
    done = _run(command, function)
    if done.returncode != 0:
        raise MicroError(
            f"{function.name} cannot be linked. If `make micro` does not help, this is a fault of "
            "the build.",
            command=command,
            log_tail="\n".join(done.stderr.splitlines()[-MOST_TOLD:]),
        )


def _rustc(kind: str, name: str, *, unwinds: bool) -> list[str]:
    panic = "unwind" if unwinds else "abort"
    return [
        *(str(RUSTC), "--edition", "2021", "--target", TARGET),
        *("--crate-type", kind, "--crate-name", name),
        *("-C", "opt-level=3", "-C", "codegen-units=1", "-C", f"panic={panic}"),
    ]


def crates_options(
    crates: Mapping[str, pathlib.Path], toolchain: Toolchain, with_host: bool = False
) -> list[str]:
    guest = toolchain.root / "guest"
    # The second has what runs inside of the compiler: serde's derive.
    folders = [guest / TARGET / "release" / "deps", guest / "release" / "deps"]
    if with_host:
        folders.append(toolchain.root / "host" / "release" / "deps")
    options = [f"-Ldependency={folder}" for folder in folders]
    for name, path in crates.items():
        options += ["--extern", f"{name}={path}"]
    return options


def _run(command: Sequence[str], function: RustFunction) -> subprocess.CompletedProcess[str]:
    # Nothing of the caller's environment: RUSTC_BOOTSTRAP would let features through.
    clean = {"PATH": "/usr/bin:/bin", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    try:
        return subprocess.run(
            [*LIMITS, *command],
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT_S,
            check=False,
        )
    except OSError as error:
        raise MicroError(
            f"{command[0]} cannot be run ({error.strerror}). Run `make setup`, then `make micro`.",
            command=command,
        ) from error
    except subprocess.TimeoutExpired as error:
        raise FunctionFileError(
            function.name, f"the compiler was not done with it after {LIMIT_S:g} s. Simplify it."
        ) from error


def _why(messages: str) -> str:
    """Make a reason of the compiler's messages."""
    reasons, foreign = [], False
    for line in messages.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if not isinstance(told, dict) or told.get("level") != "error" or not told.get("spans"):
            continue
        span = told["spans"][0]
        code = (told.get("code") or {}).get("code", "")
        place = f"line {span['line_start']}: " if span["file_name"].endswith("source.rs") else ""
        label = f" ({span['label']})" if span.get("label") else ""
        reasons.append(f"{place}{told['message']}{label}")
        foreign |= code in UNKNOWN_NAME
    if not reasons:
        return f"the compiler failed: {messages[-1000:]}"
    text = "refused by the compiler: " + "; ".join(reasons[:MOST_TOLD])
    if foreign:
        text += f". Beside core and alloc there are only the crates {', '.join(ALLOWED)}"
    return f"{text}. A function is `{SIGNATURE}`."
