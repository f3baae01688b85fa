"""Sets of guest pages: sorted page numbers, and where the bytes of each page lie.

A set read from the store points into memory-mapped files, so that opening and merging cost index
work only. Bytes are copied when `data` or `take` is used, and not at all where one file already
holds them in order.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from snapshot_store.errors import InvalidDraftError

PAGE_SIZE: Final = 4096
ZERO: Final = -1

Numbers = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class PageSet:
    """Pages by number.

    Args:
        numbers: page numbers, shape (n,), strictly ascending.
        data: their bytes, shape (n, 4096). Kept, not copied: it must not change afterwards.

    Raises:
        InvalidDraftError: shapes, types or the order of the numbers are wrong.
    """

    __slots__ = ("_data", "_rows", "_source_of", "_sources", "numbers")

    def __init__(self, numbers: npt.ArrayLike, data: npt.ArrayLike) -> None:
        self.numbers = _checked_numbers(np.asarray(numbers))
        pages = np.asarray(data)
        if pages.dtype != np.uint8 or pages.shape != (len(self.numbers), PAGE_SIZE):
            raise InvalidDraftError(
                f"page data must be uint8 of shape ({len(self.numbers)}, {PAGE_SIZE}), "
                f"not {pages.dtype} of shape {pages.shape}"
            )
        self._sources: tuple[Bytes, ...] = (pages,)
        self._rows: Positions = np.arange(len(self.numbers), dtype=np.intp)
        self._source_of: Positions = np.where(_any_set(pages), 0, ZERO)
        self._data: Bytes | None = pages

    @classmethod
    def stored(cls, numbers: Numbers, rows: Positions, source: Bytes) -> "PageSet":
        """Make a set whose page i is `source[rows[i]]`, or all zero where `rows[i]` is negative.

        Args:
            numbers: shape (n,), strictly ascending.
            rows: shape (n,).
            source: shape (k, 4096).
        """
        return cls._placed(numbers, rows, np.where(rows < 0, ZERO, 0), (source,))

    @classmethod
    def merged(cls, layers: "Sequence[PageSet]") -> "PageSet":
        """Lay sets over each other, the later ones winning. No page is copied."""
        if not layers:
            return cls(np.empty(0, np.uint64), np.empty((0, PAGE_SIZE), np.uint8))
        if len(layers) == 1:
            return layers[0]
        offsets = np.cumsum([0, *(len(layer._sources) for layer in layers)])
        # np.unique keeps the first of equal numbers, so the topmost layer goes first.
        newest_first = list(zip(layers, offsets[:-1], strict=True))[::-1]
        numbers, kept = np.unique(
            np.concatenate([layer.numbers for layer, _ in newest_first]), return_index=True
        )
        rows = np.concatenate([layer._rows for layer, _ in newest_first])[kept]
        source_of = np.concatenate(
            [
                np.where(layer._source_of < 0, ZERO, layer._source_of + offset)
                for layer, offset in newest_first
            ]
        )[kept]
        return cls._placed(numbers, rows, source_of, sum((lay._sources for lay in layers), ()))

    def changed_from(self, below: "PageSet") -> "PageSet":
        """Return those pages that `below` does not have, or has otherwise. Copies what is left."""
        found = np.searchsorted(below.numbers, self.numbers)
        known = found < len(below)
        known[known] = below.numbers[found[known]] == self.numbers[known]
        kept = ~known
        kept[known] = (self.data[known] != below.take(found[known])).any(axis=1)
        return PageSet(self.numbers[kept], self.data[kept])

    @classmethod
    def _placed(
        cls, numbers: Numbers, rows: Positions, source_of: Positions, sources: tuple[Bytes, ...]
    ) -> "PageSet":
        made = cls.__new__(cls)
        made.numbers = numbers
        made._rows = rows
        made._source_of = source_of
        made._sources = sources
        made._data = None
        return made

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return f"PageSet({len(self)} pages, {int(self.zero.sum())} of them zero)"

    @property
    def zero(self) -> Mask:
        """Which pages are all zero, shape (n,). Costs no look at the data."""
        mask: Mask = self._source_of < 0
        return mask

    @property
    def data(self) -> Bytes:
        """All bytes, shape (n, 4096), to be read only; gathered at the first use, then kept."""
        if self._data is None:
            self._data = self._in_place()
            if self._data is None:
                self._data = self.take(np.arange(len(self), dtype=np.intp))
        return self._data

    def take(self, positions: npt.ArrayLike) -> Bytes:
        """Copy out the pages at `positions` (shape (k,), into `numbers`): shape (k, 4096)."""
        chosen = np.asarray(positions, dtype=np.intp)
        rows, source_of = self._rows[chosen], self._source_of[chosen]
        if len(chosen) == 0 or bool((source_of < 0).all()):
            return np.zeros((len(chosen), PAGE_SIZE), np.uint8)
        # One straight gather from the source that holds most, then the others over it.
        main = int(np.bincount(source_of[source_of >= 0]).argmax())
        gathered = np.empty((len(chosen), PAGE_SIZE), np.uint8)
        from_main = np.where(source_of == main, rows, 0)
        np.take(self._sources[main], from_main, axis=0, out=gathered, mode="clip")
        for index, source in enumerate(self._sources):
            if index != main:
                here = source_of == index
                gathered[here] = source[rows[here]]
        gathered[source_of < 0] = 0
        return gathered

    def _in_place(self) -> Bytes | None:
        """Return the stretch of one source that already is `data`, if there is one."""
        if len(self) == 0 or (self._source_of != self._source_of[0]).any() or self.zero[0]:
            return None
        start = int(self._rows[0])
        if (self._rows != np.arange(start, start + len(self))).any():
            return None
        return self._sources[int(self._source_of[0])][start : start + len(self)]


def _checked_numbers(numbers: npt.NDArray[np.generic]) -> Numbers:
    if numbers.ndim != 1 or not (len(numbers) == 0 or np.issubdtype(numbers.dtype, np.integer)):
        raise InvalidDraftError(
            f"page numbers must be integers of shape (n,), not {numbers.dtype} {numbers.shape}"
        )
    if len(numbers) and int(numbers.min()) < 0:
        raise InvalidDraftError("page numbers must not be negative")
    checked: Numbers = numbers.astype(np.uint64)
    if (checked[1:] <= checked[:-1]).any():
        raise InvalidDraftError("page numbers must be strictly ascending")
    return checked


def _any_set(pages: Bytes) -> Mask:
    # Eight bytes at a time: this looks at every byte of a whole memory.
    words = np.ascontiguousarray(pages).view(np.uint64)
    return np.asarray(words.any(axis=1))
