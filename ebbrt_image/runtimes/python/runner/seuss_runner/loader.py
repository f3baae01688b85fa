"""Bring a function into the interpreter: one source text, or a zip that is unpacked under /tmp."""

from __future__ import annotations

import sys
from types import CodeType, ModuleType

import seuss
from seuss_runner import failures
from seuss_runner.failures import Failure, failure_of
from seuss_runner.points import point_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Main = Callable[[dict[str, object]], object]

#: The name of a function's file as a module; not ``__main__``, so that its self-test stays asleep.
MODULE = "__function__"
ENTRY = "__main__.py"
_MAX_UNPACKED = 64 << 20
_unpacked = 0


class SourceHolder:
    """The module loader that tells tracebacks and `inspect` the source text of the function."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, _name: str) -> str:
        """Return the source text of the function's file."""
        return self._source


class Function:
    """A function in the interpreter: ``main`` is its entry; `unload` takes it out again.

    ``point`` is the names of its snapshot point, None if it has none.
    """

    def __init__(
        self, main: Main, point: tuple[str, ...] | None, filename: str, folder: str | None
    ) -> None:
        self.main = main
        self.point = point
        self._filename = filename
        self._folder = folder

    def unload(self) -> None:
        """Forget the function's modules and remove its unpacked files."""
        _forget(self._filename, self._folder)


def load(request: dict[str, object]) -> Function:
    """Load the function that a LOAD request describes; raises Failure."""
    name, code, form = request.get("name"), request.get("code"), request.get("format")
    entry = request.get("main", "main")
    if not (isinstance(name, str) and isinstance(entry, str) and isinstance(code, str)):
        raise Failure(failures.BAD_REQUEST, "a LOAD request needs texts: name, main, format, code")
    folder = None
    filename = name if name.endswith(".py") else f"{name}.py"
    try:
        if form == "source":
            source: str | bytes = code
        elif form == "zip":
            folder = _unpack(code, name)
            filename = f"{folder}/{ENTRY}"
            source = _read(filename, name)
            sys.path.insert(0, folder)
        else:
            raise Failure(failures.BAD_REQUEST, f"format is {form!r}, not 'source' or 'zip'")
        program = _compiled(source, filename)
        point = point_in(source, filename)
        module = _execute(program, source, filename)
        return Function(_entry(module, entry, filename), point, filename, folder)
    except BaseException:
        _forget(filename, folder)
        raise


def _compiled(source: str | bytes, filename: str) -> CodeType:
    try:
        return compile(source, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise _compile_failure(error, filename) from None


def _execute(program: CodeType, source: str | bytes, filename: str) -> ModuleType:
    """Run the function's file as a module of its own."""
    module = ModuleType(MODULE)
    module.__file__ = filename
    text = source if isinstance(source, str) else source.decode(errors="replace")
    module.__dict__["__loader__"] = SourceHolder(text)
    sys.modules[MODULE] = module
    try:
        exec(program, module.__dict__)
    except SyntaxError as error:
        own = str(error.filename).startswith(filename.removesuffix(ENTRY))
        kind = failures.SYNTAX_ERROR if own else failures.IMPORT_ERROR
        raise failure_of(error, kind) from None
    except BaseException as error:
        raise failure_of(error, failures.IMPORT_ERROR) from None
    return module


def _compile_failure(error: SyntaxError | ValueError, filename: str) -> Failure:
    if isinstance(error, SyntaxError):
        return failure_of(error, failures.SYNTAX_ERROR)
    return Failure(failures.SYNTAX_ERROR, f"{filename}: {error}")


def _entry(module: ModuleType, entry: str, filename: str) -> Main:
    main = getattr(module, entry, None)
    if callable(main):
        return main  # type: ignore[no-any-return]
    if main is not None:
        raise Failure(
            failures.NO_MAIN, f"{filename}: {entry} is a {type(main).__name__}, not a function"
        )
    names = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
    defined = f"it defines {', '.join(names[:20])}" if names else "it defines no function at all"
    raise Failure(failures.NO_MAIN, f"{filename} defines no function {entry!r}; {defined}")


def _unpack(code: str, name: str) -> str:
    """Unpack a base64 zip into a fresh folder under /tmp and return the folder."""
    global _unpacked
    import os
    import zipfile
    from binascii import Error, a2b_base64
    from io import BytesIO

    _unpacked += 1
    folder = f"/tmp/seuss-function-{os.getpid()}-{_unpacked}"
    try:
        with zipfile.ZipFile(BytesIO(a2b_base64(code))) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > _MAX_UNPACKED:
                raise Failure(
                    failures.BAD_REQUEST,
                    f"{name}: the zip unpacks to {size} bytes, {_MAX_UNPACKED} are allowed",
                )
            os.mkdir(folder)
            archive.extractall(folder)
    except (Error, zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError) as error:
        raise Failure(failures.BAD_REQUEST, f"{name} is not a good zip: {error}") from None
    except OSError as error:
        raise Failure(failures.IMPORT_ERROR, f"{name} could not be unpacked: {error}") from None
    return folder


def _read(path: str, name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise Failure(failures.NO_MAIN, f"{name} has no {ENTRY} at the top of the zip") from None


def _forget(filename: str, folder: str | None) -> None:
    """Take out what came with the function: callbacks, its own module, those of its folder."""
    sys.modules.pop(MODULE, None)
    seuss._callbacks.clear()
    lines = getattr(sys.modules.get("linecache"), "cache", {})
    for path in [p for p in lines if p == filename or (folder and p.startswith(folder))]:
        del lines[path]
    if folder is None:
        return
    import shutil

    if folder in sys.path:
        sys.path.remove(folder)
    for path in [p for p in sys.path_importer_cache if p.startswith(folder)]:
        del sys.path_importer_cache[path]
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(folder):
            del sys.modules[name]
    shutil.rmtree(folder, ignore_errors=True)
