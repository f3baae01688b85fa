"""Turning a snapshot into a running guest: the base as shared memory, the rest as a stream.

A base's guest memory lies once in a `RamFile` that every machine maps privately. What QEMU needs by
stream is then small: a head that is the same for all (`Origin.head`, which a waiting machine gets
ahead of time), and per request the pages that differ from the base and the devices' state.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from qemu.qmp import EventListener

from orchestrator.errors import MachineError, RestoreError
from orchestrator.machines.backend import machine_type
from orchestrator.machines.command_line import RAM_BLOCK, Hardware
from orchestrator.machines.machine import Machine
from orchestrator.machines.ram import RamFile
from orchestrator.vm.migration_stream import encode_head, encode_pages, split_state
from snapshot_store.model import Block
from snapshot_store.pageset import PAGE_SIZE, PageSet

RESTORE_DEADLINE_S = 30.0
NO_PAGES = PageSet(np.empty(0, np.uint64), np.empty((0, PAGE_SIZE), np.uint8))


class Origin:
    """A base snapshot made ready to restore machines from, any number of times.

    Args:
        blocks: RAM blocks of the snapshot, in the stream's order.
        pages: all pages that are not zero, numbered over `blocks`.
        state: the stream without its RAM sections.

    Raises RestoreError when the parts do not belong together.
    """

    def __init__(self, blocks: tuple[Block, ...], pages: PageSet, state: bytes) -> None:
        guest = next((block for block in blocks if block.name == RAM_BLOCK), None)
        if guest is None or guest.first_page != 0:
            raise RestoreError(
                f"The snapshot's first memory block is not {RAM_BLOCK!r}. Take a new snapshot."
            )
        parts = split_state(state)
        inside = int(np.searchsorted(pages.numbers, guest.end_page))
        self.blocks = blocks
        self.state = state
        self._outside = PageSet(
            pages.numbers[inside:], pages.take(np.arange(inside, len(pages), dtype=np.intp))
        )
        """Firmware and such: few pages, not in the file, so every machine gets them by stream."""
        self._preamble = parts.preamble
        self.head = encode_head(parts.preamble, blocks)
        self.head += encode_pages(blocks, self._outside, last=False)
        self._guest = guest
        self.ram = RamFile(
            pages.numbers[:inside], pages.take(np.arange(inside, dtype=np.intp)), guest.size
        )

    def tail(self, delta: PageSet = NO_PAGES, state: bytes | None = None) -> bytes:
        """Return what follows `head` in a stream.

        `delta` is what differs from the base, `state` the snapshot's (None: the base's own).
        """
        parts = split_state(self.state if state is None else state)
        if parts.preamble != self._preamble:
            raise RestoreError(
                "The snapshot was taken on another machine type than its base. Delete it."
            )
        return encode_pages(self.blocks, delta, last=True) + parts.devices

    def contents(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Copy out the base's pages `numbers` (shape (n,), any blocks): shape (n, 4096)."""
        data = np.zeros((len(numbers), PAGE_SIZE), np.uint8)
        inside = numbers < self._guest.end_page
        data[inside] = self.ram.pages(numbers[inside])
        found = np.searchsorted(self._outside.numbers, numbers)
        known = found < len(self._outside)
        known[known] = self._outside.numbers[found[known]] == numbers[known]
        data[known] = self._outside.take(found[known])
        return data

    def difference(self, pages: PageSet) -> PageSet:
        """Return those of `pages` that are not as they are in this base."""
        return changed(pages, self.contents(pages.numbers))

    def machine(self, hardware: Hardware, paused: bool = False) -> Machine:
        """Return a machine, not yet started, that waits for this origin's stream."""
        return machine_type(hardware)(hardware, ram=self.ram, incoming=True, paused=paused)

    def close(self) -> None:
        """Give the memory up; machines restored from it keep what they map."""
        self.ram.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Grown:
    """A base with a function's snapshot on it, as what a further delta is taken against.

    Args:
        origin: the base.
        pages: what differs from it in the function's snapshot.
    """

    def __init__(self, origin: Origin, pages: PageSet) -> None:
        self.blocks = origin.blocks
        self._origin = origin
        self._pages = pages

    def contents(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Copy out the pages `numbers` (shape (n,), any blocks): shape (n, 4096)."""
        data = self._origin.contents(numbers)
        found = np.searchsorted(self._pages.numbers, numbers)
        known = found < len(self._pages)
        known[known] = self._pages.numbers[found[known]] == numbers[known]
        data[known] = self._pages.take(found[known])
        return data

    def difference(self, pages: PageSet) -> PageSet:
        """Return those of `pages` that are not as they are here."""
        return changed(pages, self.contents(pages.numbers))


def changed(pages: PageSet, contents: npt.NDArray[np.uint8]) -> PageSet:
    """Return those of `pages` that differ from `contents`, their bytes in the parent."""
    rows = np.flatnonzero((pages.data != contents).any(axis=1))
    return PageSet(pages.numbers[rows], pages.data[rows])


async def prepare(machine: Machine, origin: Origin) -> None:
    """Send a started machine the stream's head, so that a request needs to send only the rest."""
    await _send(machine, origin.head)


async def complete(machine: Machine, tail: bytes) -> None:
    """Send the rest of the stream, as `Origin.tail` makes it, and wait until the guest runs.

    A machine made `paused` is complete when it stands at the state restored. Raises RestoreError
    when QEMU does not take the stream.
    """
    try:
        async with asyncio.timeout(RESTORE_DEADLINE_S):
            with machine.events("RESUME", "MIGRATION") as events:
                await _send(machine, tail)
                await machine.unless_ended(_arrival(events, machine.paused))
    except TimeoutError as error:
        raise _refused(machine.error("QEMU did not take the snapshot in time")) from error
    except MachineError as error:
        raise _refused(error) from error
    machine.end_stream()


async def _arrival(events: EventListener, paused: bool) -> None:
    """Wait until the guest runs or, when it is to stay paused, until it is all there."""
    async for event in events:
        detail = event.get("data")
        if event["event"] == "RESUME":
            return
        if paused and isinstance(detail, dict) and detail.get("status") == "completed":
            return


async def _send(machine: Machine, data: bytes) -> None:
    assert machine.stream is not None, "the machine was not made to wait for a stream"
    try:
        await asyncio.get_running_loop().sock_sendall(machine.stream, data)
    except OSError as error:
        await asyncio.wait_for(machine.wait(), RESTORE_DEADLINE_S)
        raise machine.error("QEMU ended while it was sent a snapshot") from error


def _refused(error: MachineError) -> RestoreError:
    return RestoreError(
        f"The snapshot could not be restored: {error.message} "
        "Check it with seuss snapshots verify; delete it to have it made anew.",
        command=error.command,
        log_tail=error.log_tail,
    )
