"""Snapshots of contexts between a node and the store: out through the node's memory file, and in
through the region that all nodes of the host share."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.errors import CaptureError
from orchestrator.uc.node import UcNode
from orchestrator.uc.shared_region import ZERO_FRAME, Placed, SharedRegion, file_pages
from snapshot_store import (
    PAGE_SIZE,
    Block,
    Depth,
    Draft,
    Level,
    Manifest,
    PageSet,
    SeussError,
    Snapshot,
    SnapshotStore,
    UnknownSnapshotError,
)

logger = logging.getLogger(__name__)

LOWER_HALF = Block("uc", 1 << 47, 0)
"""A UC's memory: the lower half of the address space, by virtual page number."""
RECORD = np.dtype([("page", "<u8"), ("frame", "<u8")])
"""How EXPORT and IMPORT name a page: virtual page number, and frame or index in the region."""
_LENGTH = struct.Struct("<I")
MACHINE_FACTS = frozenset({"cores", "machine", "memory_mib", "network"})
"""What a machine's snapshot depends on and a context's does not."""


@dataclass(frozen=True)
class Exported:
    """A snapshot outside of its node: the kernel's state of it, and the pages of its own."""

    state: bytes
    pages: PageSet


def context_facts(facts: Mapping[str, str]) -> dict[str, str]:
    """Return what a context's snapshot depends on, of what a machine's does."""
    return {name: value for name, value in facts.items() if name not in MACHINE_FACTS}


async def export(node: UcNode, snapshot: int) -> Exported:
    """Read a snapshot out of a node; it must not be evicted meanwhile.

    Raises CaptureError when the node refuses, or names pages that cannot be.
    """
    payload = await node.export(snapshot)
    state, records = split(payload)
    numbers = records["page"].astype(np.uint64)
    frames = records["frame"].astype(np.uint64)
    stored = frames != np.uint64(ZERO_FRAME)
    data = np.zeros((len(numbers), PAGE_SIZE), np.uint8)
    try:
        data[stored] = _node_pages(node, frames[stored])
        if len(numbers) and int(numbers.max()) >= LOWER_HALF.end_page:
            raise IndexError(f"virtual page {int(numbers.max())}")
    except IndexError as error:
        raise CaptureError(
            f"The node exported a page that does not exist ({error}). "
            "It is faulty: end it and start another."
        ) from error
    order = np.argsort(numbers)
    return Exported(state, PageSet(numbers[order], data[order]))


def _node_pages(node: UcNode, frames: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Copy pages out of what the guest sees as memory. Raises IndexError for what is not there."""
    region = None if node.region is None else node.region.memory
    total = node.hardware.memory + (0 if region is None else region.size)
    places = file_pages(node.hardware, frames, total)
    own = np.uint64(node.hardware.memory // PAGE_SIZE)
    borrowed = places >= own
    if region is None or not borrowed.any():
        return node.memory.pages(places)
    data = np.empty((len(places), PAGE_SIZE), np.uint8)
    data[~borrowed] = node.memory.pages(places[~borrowed])
    # A context moved pages of the snapshot that it was deployed from.
    data[borrowed] = region.pages(places[borrowed] - own)
    return data


class StoredContexts:
    """The store's snapshots of contexts that fit one image and processor.

    Args:
        store: where they are.
        image: SHA-256 of the image.
        runtime: the runtime in it.
        facts: what they depend on.
        ao: whether the base is optimised.
        region: memory through which nodes take them in.
    """

    def __init__(
        self,
        store: SnapshotStore,
        image: str,
        runtime: str,
        facts: Mapping[str, str],
        ao: bool,
        region: SharedRegion,
    ) -> None:
        self._store = store
        self._image = image
        self._runtime = runtime
        self._facts = facts
        self._ao = ao
        self._region = region

    async def base(self) -> Snapshot | None:
        """Return the newest base that fits, checked to its last byte."""
        return await asyncio.to_thread(self._find_base)

    async def functions(self, base: str) -> dict[str, Manifest]:
        """Return the newest snapshot of each function on a base."""
        found = await asyncio.to_thread(
            lambda: self._store.find(depth=Depth.UC, level=Level.FUNCTION, parent=base)
        )
        return {each.function: each for each in reversed(found) if each.function is not None}

    async def arguments(self, functions: Mapping[str, Manifest]) -> list[Manifest]:
        """Return the argument snapshots on these snapshots of functions, oldest first."""
        parents = {manifest.id for manifest in functions.values()}
        found = await asyncio.to_thread(
            lambda: self._store.find(depth=Depth.UC, level=Level.ARGUMENT)
        )
        return [each for each in reversed(found) if each.parent in parents]

    async def delete(self, manifest: Manifest) -> None:
        """Delete a snapshot that nothing is built on; the log says why if that fails."""
        try:
            await asyncio.to_thread(self._store.delete, manifest.id)
        except UnknownSnapshotError:
            pass  # another process was faster
        except SeussError as error:
            logger.warning("snapshot %s of %s stays: %s", manifest.id, manifest.label, error)

    async def open(self, manifest: Manifest) -> Snapshot:
        """Open a snapshot, checked to its last byte. Raises StoreError."""
        return await asyncio.to_thread(lambda: self._store.open(manifest.id, verify=True))

    async def bring_in(self, node: UcNode, snapshot: Snapshot, parent: int) -> int:
        """Make a stored snapshot one of the node's, on `parent` (0: none); return its number.

        Raises RegionFullError when the region is full, RestoreError when it is closed, MachineError
        when the node refuses.
        """
        placing = asyncio.create_task(
            asyncio.to_thread(lambda: self._region.place(snapshot.id, snapshot.pages()))
        )
        try:
            placed = await asyncio.shield(placing)
        except asyncio.CancelledError:
            placing.add_done_callback(lambda done: self._unplace(done, snapshot.id))
            raise
        records = np.empty(len(placed.numbers), RECORD)
        records["page"], records["frame"] = placed.numbers, placed.indices
        state = snapshot.state()
        payload = _LENGTH.pack(len(state)) + state + records.tobytes()
        try:
            number = (await node.import_snapshot(payload, parent)).snapshot
        except BaseException:
            node.borrowed.hold(snapshot.id)
            raise
        node.borrowed.borrow(number, snapshot.id)
        return number

    def _unplace(self, placing: asyncio.Task[Placed], snapshot: str) -> None:
        if not placing.cancelled() and placing.exception() is None:
            self._region.release(snapshot)

    async def commit(
        self,
        exported: Exported,
        level: Level,
        label: str,
        parent: str | None = None,
        function: str | None = None,
        key: str | None = None,
    ) -> Snapshot:
        """Store a snapshot, without what is in the parent as it is in here. Raises StoreError."""
        return await asyncio.to_thread(self._commit, exported, level, label, parent, function, key)

    def _commit(
        self,
        exported: Exported,
        level: Level,
        label: str,
        parent: str | None,
        function: str | None,
        key: str | None,
    ) -> Snapshot:
        pages = exported.pages
        if parent is not None:
            # Written to and then as before, as counts of references are.
            pages = pages.changed_from(self._store.open(parent).merged_pages())
        draft = Draft(
            depth=Depth.UC,
            level=level,
            image=self._image,
            runtime=self._runtime,
            blocks=(LOWER_HALF,),
            pages=pages,
            state=exported.state,
            parent=parent,
            function=function,
            key=key,
            label=label,
            ao=self._ao,
            facts=self._facts,
        )
        return self._store.commit(draft)

    def _find_base(self) -> Snapshot | None:
        found = self._store.find(
            depth=Depth.UC,
            level=Level.BASE,
            image=self._image,
            runtime=self._runtime,
            ao=self._ao,
            facts=self._facts,
        )
        return self._store.open(found[0].id, verify=True) if found else None


def split(payload: bytes) -> tuple[bytes, npt.NDArray[np.void]]:
    """Take an EXPORTED payload apart into the state and `RECORD`s.

    Raises CaptureError when it is not one.
    """
    head = _LENGTH.size
    size = _LENGTH.unpack_from(payload)[0] if len(payload) >= head else len(payload)
    rest = len(payload) - head - size
    if rest < 0 or rest % RECORD.itemsize:
        raise CaptureError(
            f"The node's EXPORTED of {len(payload)} bytes makes no sense. "
            "It is faulty: end it and start another."
        )
    return payload[head : head + size], np.frombuffer(payload, RECORD, offset=head + size)
