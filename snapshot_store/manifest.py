"""The manifest's encoding: canonical JSON, and its strict reading.

There is exactly one byte string for a manifest (sorted keys, no spaces, ASCII), and its id is
the start of the SHA-256 of that string without the id: no bit can change unseen. A manifest that
is read is hostile until every field has been checked for type, range and agreement with the rest.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NoReturn

from snapshot_store.errors import CorruptSnapshotError, Difference, MismatchError, OutdatedError
from snapshot_store.model import FORMAT_VERSION, Block, Checksum, Depth, Level, Manifest
from snapshot_store.pageset import PAGE_SIZE

MANIFEST_NAME: Final = "manifest.json"
INDEX_NAME: Final = "pages.idx"
PAGES_NAME: Final = "pages.bin"
STATE_NAME: Final = "state.bin"
DATA_NAMES: Final = (INDEX_NAME, PAGES_NAME, STATE_NAME)

INDEX_RECORD_SIZE: Final = 16
MAX_MANIFEST_SIZE: Final = 1 << 20
MAX_PAGES: Final = 1 << 52
MAX_STORED_PAGES: Final = 0xFFFFFFFF
MAX_STATE_SIZE: Final = 1 << 26
"""A machine's takes 48 kB, a unikernel context's 4 MiB at most; and a bomb must not take more."""
MAX_ENTRIES: Final = 256
MAX_TEXT: Final = 1024

_ID: Final = re.compile(r"[0-9a-f]{16}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FACT_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class FieldError(ValueError):
    """A manifest is not what the format says; the message names the field and the fault."""


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of a snapshot id (and so is safe in a path)."""
    return _ID.fullmatch(text) is not None


def encode(manifest: Manifest) -> bytes:
    """Return the one byte string that stands for this manifest."""
    return _canonical(to_document(manifest))


def identify(manifest: Manifest) -> Manifest:
    """Return the manifest with the id that belongs to its other fields."""
    return replace(manifest, id=_sum(to_document(manifest)))


def content_digest(manifest: Manifest) -> str:
    """Return what two snapshots of the same content have in common: all but id and time."""
    document = to_document(manifest)
    del document["id"], document["created"]
    return hashlib.sha256(_canonical(document)).hexdigest()


def to_document(manifest: Manifest) -> dict[str, object]:
    """Return the manifest as plain JSON values, new at each call."""
    return {
        "id": manifest.id,
        "format_version": manifest.format_version,
        "depth": str(manifest.depth),
        "level": str(manifest.level),
        "parent": manifest.parent,
        "image": manifest.image,
        "runtime": manifest.runtime,
        "function": manifest.function,
        "key": manifest.key,
        "label": manifest.label,
        "ao": manifest.ao,
        "created": manifest.created,
        "blocks": [
            {"name": block.name, "size": block.size, "first_page": block.first_page}
            for block in manifest.blocks
        ],
        "facts": dict(manifest.facts),
        "page_count": manifest.page_count,
        "stored_pages": manifest.stored_pages,
        "state_size": manifest.state_size,
        "checksums": {
            name: {"size": checksum.size, "sha256": checksum.sha256, "crc32": checksum.crc32}
            for name, checksum in manifest.checksums.items()
        },
    }


def parse(raw: bytes, snapshot_id: str) -> Manifest:
    """Read the manifest of the snapshot that is known as `snapshot_id`.

    Raises:
        MismatchError: it is of another format version; OutdatedError if that is an earlier one.
        CorruptSnapshotError: it is anything but the canonical manifest of that id.
    """
    try:
        document = _load(raw)
        version = document.get("format_version")
        # In every version the id is the sum of the rest, so that damage does not pass for age.
        if version != FORMAT_VERSION and _sum(document) == snapshot_id:
            difference = Difference("format_version", str(version), str(FORMAT_VERSION))
            earlier = isinstance(version, int) and version < FORMAT_VERSION
            raise (OutdatedError if earlier else MismatchError)(snapshot_id, [difference])
        manifest = from_document(document)
        if encode(manifest) != raw:
            raise FieldError("it is not in canonical form")
        if manifest.id != snapshot_id or identify(manifest).id != snapshot_id:
            raise FieldError("its id is not the sum of its fields")
    except (ValueError, RecursionError) as error:
        raise CorruptSnapshotError(snapshot_id, f"{MANIFEST_NAME}: {error}") from None
    return manifest


def validated(manifest: Manifest) -> Manifest:
    """Check a manifest that was made here by the same rules as one that is read.

    Raises:
        FieldError: a field breaks a rule.
    """
    return from_document(_load(encode(manifest)))


def from_document(document: Mapping[str, object]) -> Manifest:
    """Build a manifest from JSON values, checking each.

    Raises:
        FieldError: names the first field that is missing, unknown, of a wrong type, out of range
            or in contradiction with another.
    """
    fields = _Fields(document, "")
    manifest = Manifest(
        id=fields.matching("id", _ID),
        format_version=fields.number("format_version", FORMAT_VERSION, FORMAT_VERSION),
        depth=Depth(fields.choice("depth", Depth)),
        level=Level(fields.choice("level", Level)),
        parent=None if fields.absent("parent") else fields.matching("parent", _ID),
        image=fields.matching("image", _SHA256),
        runtime=fields.text("runtime"),
        function=None if fields.absent("function") else fields.matching("function", _SHA256),
        key=None if fields.absent("key") else fields.text("key"),
        label=fields.text("label", empty=True),
        ao=fields.flag("ao"),
        created=fields.number("created", 0, 1 << 40),
        blocks=_blocks(fields.items("blocks")),
        facts=_facts(fields.table("facts")),
        page_count=fields.number("page_count", 0, MAX_PAGES),
        stored_pages=fields.number("stored_pages", 0, MAX_STORED_PAGES),
        state_size=fields.number("state_size", 0, MAX_STATE_SIZE),
        checksums=_checksums(fields.table("checksums")),
    )
    fields.finish()
    _check_level(manifest)
    _check_sizes(manifest)
    return manifest


def _sum(document: Mapping[str, object]) -> str:
    rest = {name: value for name, value in document.items() if name != "id"}
    return hashlib.sha256(_canonical(rest)).hexdigest()[:16]


def _canonical(document: Mapping[str, object]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _load(raw: bytes) -> Mapping[str, object]:
    if len(raw) > MAX_MANIFEST_SIZE:
        raise FieldError(f"it has {len(raw)} bytes, more than {MAX_MANIFEST_SIZE}")
    try:
        document = json.loads(
            raw.decode("ascii"), object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
    except FieldError:
        raise
    except (ValueError, RecursionError) as error:
        raise FieldError(f"it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise FieldError("it is not a JSON object")
    return document


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise FieldError("a key occurs twice")
    return table


def _no_constant(name: str) -> NoReturn:
    raise FieldError(f"{name} is not a JSON value")


class _Fields:
    """Takes the values out of one JSON object, checking each; `finish` refuses what is left."""

    def __init__(self, table: Mapping[str, object], where: str) -> None:
        self._left = dict(table)
        self._where = where

    def _take(self, name: str) -> object:
        if name not in self._left:
            raise FieldError(f"{self._where}{name} is missing")
        return self._left.pop(name)

    def _refuse(self, name: str, wanted: str, value: object) -> NoReturn:
        raise FieldError(f"{self._where}{name} must be {wanted}, not {repr(value)[:80]}")

    def absent(self, name: str) -> bool:
        """Whether the value is null; if so it is taken."""
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return True
        return False

    def text(self, name: str, *, empty: bool = False) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not (empty or value) or len(value) > MAX_TEXT:
            self._refuse(name, f"text of {0 if empty else 1} to {MAX_TEXT} characters", value)
        # Printable only: values reach terminals, and lone surrogates no encoder takes.
        if not value.isprintable():
            self._refuse(name, "printable text", value)
        return value

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._take(name)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            self._refuse(name, f"text of the form {pattern.pattern}", value)
        return value

    def choice(self, name: str, among: type[Depth] | type[Level]) -> str:
        value = self._take(name)
        if not isinstance(value, str) or value not in list(among):
            self._refuse(name, f"one of {', '.join(among)}", value)
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value = self._take(name)
        if type(value) is not int or not low <= value <= high:
            self._refuse(name, f"a whole number from {low} to {high}", value)
        return value

    def flag(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            self._refuse(name, "true or false", value)
        return value

    def table(self, name: str) -> dict[str, object]:
        value = self._take(name)
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            self._refuse(name, f"an object of at most {MAX_ENTRIES} entries", value)
        return value

    def items(self, name: str) -> list[object]:
        value = self._take(name)
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            self._refuse(name, f"a list of at most {MAX_ENTRIES} items", value)
        return value

    def finish(self) -> None:
        if self._left:
            raise FieldError(f"{self._where}{min(self._left)[:80]!r} is not a known field")


def _blocks(items: list[object]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    next_page = 0
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise FieldError(f"blocks[{index}] must be an object")
        fields = _Fields(item, f"blocks[{index}].")
        name = fields.text("name")
        size = fields.number("size", PAGE_SIZE, MAX_PAGES * PAGE_SIZE)
        if size % PAGE_SIZE:
            raise FieldError(f"blocks[{index}].size must be a multiple of {PAGE_SIZE}")
        block = Block(name, size, fields.number("first_page", next_page, next_page))
        fields.finish()
        next_page = block.end_page
        blocks.append(block)
    if len({block.name for block in blocks}) != len(blocks):
        raise FieldError("blocks must have different names")
    if not blocks or next_page > MAX_PAGES:
        raise FieldError(f"blocks must cover 1 to {MAX_PAGES} pages")
    return tuple(blocks)


def _facts(table: dict[str, object]) -> dict[str, str]:
    fields = _Fields(table, "facts.")
    for name in table:
        if _FACT_NAME.fullmatch(name) is None:
            raise FieldError(f"facts: {name[:80]!r} is not of the form {_FACT_NAME.pattern}")
    return {name: fields.text(name, empty=True) for name in table}


def _checksums(table: dict[str, object]) -> dict[str, Checksum]:
    files = _Fields(table, "checksums.")
    sums: dict[str, Checksum] = {}
    for name in DATA_NAMES:
        fields = _Fields(files.table(name), f"checksums.{name}.")
        sums[name] = Checksum(
            size=fields.number("size", 0, MAX_PAGES * PAGE_SIZE),
            sha256=fields.matching("sha256", _SHA256),
            crc32=fields.number("crc32", 0, 0xFFFFFFFF),
        )
        fields.finish()
    files.finish()
    return sums


def _check_level(manifest: Manifest) -> None:
    rules = {
        Level.BASE: "a base has no parent, function and key",
        Level.FUNCTION: "a function snapshot has a function and no key",
        Level.ARGUMENT: "an argument snapshot has a function and a key",
    }
    fits = {
        Level.BASE: manifest.parent is manifest.function is manifest.key is None,
        Level.FUNCTION: manifest.function is not None and manifest.key is None,
        Level.ARGUMENT: manifest.function is not None and manifest.key is not None,
    }
    if not fits[manifest.level]:
        raise FieldError(rules[manifest.level])


def _check_sizes(manifest: Manifest) -> None:
    expected = {
        INDEX_NAME: manifest.page_count * INDEX_RECORD_SIZE,
        PAGES_NAME: manifest.stored_pages * PAGE_SIZE,
    }
    for name, size in expected.items():
        if manifest.checksums[name].size != size:
            raise FieldError(f"checksums.{name}.size must be {size} by the counts")
    # What deflate cannot make shorter grows by less than an eighth.
    size = manifest.state_size
    if manifest.checksums[STATE_NAME].size > size + size // 8 + 64:
        raise FieldError(f"checksums.{STATE_NAME}.size is too much for a state of {size} bytes")
    if manifest.page_count > manifest.blocks[-1].end_page:
        raise FieldError("page_count must not exceed the pages of the blocks")
    if manifest.stored_pages > manifest.page_count:
        raise FieldError("stored_pages must not exceed page_count")
