"""Taking a guest's state out of QEMU by outgoing migration to a socket.

A full capture reads the whole stream of a stopped machine. A delta is taken by held-back
pre-copy: QEMU's first pass over memory is read ahead, while the guest still stands at its parent's
state, except for a tail that is left in the socket. QEMU then waits on the full socket with its
dirty bitmap armed. When the guest has run, the rest of the stream holds the tail, exactly the pages
written since, and the devices' state.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.errors import CaptureError, MachineError, MigrationError
from orchestrator.machines.command_line import MIB
from orchestrator.machines.machine import Machine
from orchestrator.vm.migration_stream import StreamDecoder
from snapshot_store.model import Block
from snapshot_store.pageset import PAGE_SIZE, PageSet

NARROW: Final = 1
"""Send buffer of QEMU's end while the machine is armed: the kernel's minimum, about 4 KiB."""
BROAD: Final = 32 * 1024
"""Send buffer while the first pass is far from its end."""
WIDE: Final = 4 * MIB
"""Send buffer when the stream is to come fast."""
LEAST_MARGIN: Final = 16 * 1024
"""Bytes of page contents left unread at least, see `margin`."""
READ_SIZE: Final = 1 * MIB
LEAST_RECORD: Final = 9
"""Bytes of the shortest record, a zero page: no page comes in fewer."""
FIRMWARE_ROOM: Final = 16 * MIB
STEP_DEADLINE_S: Final = 60.0
ENDING_S: Final = 1.0
"""How long a machine whose stream broke off is given to end, if that is why."""
FD_NAME: Final = "capture"


class Parent(Protocol):
    """What a delta is taken against: a snapshot's memory (`restore.Origin`, `restore.Grown`)."""

    blocks: tuple[Block, ...]

    def contents(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Copy out the pages `numbers` (shape (n,)): shape (n, 4096)."""

    def difference(self, pages: PageSet) -> PageSet:
        """Return those of `pages` that are not as they are here."""


@dataclass(frozen=True)
class Captured:
    """A guest's state: `pages` is all that is not zero or, of a delta, what differs from the
    parent. `fallback` says in a clause why a delta had to be made from a whole stream, else None.
    """

    blocks: tuple[Block, ...]
    pages: PageSet
    state: bytes
    fallback: str | None = None


async def capture_full(machine: Machine) -> Captured:
    """Stop the machine and capture all of it; it can go on by `resume` afterwards.

    Raises CaptureError. A machine that was captured and has not run since cannot be captured again.
    """
    near, far = _sockets(WIDE)
    decoder = _decoder(machine)
    try:
        with near, far:
            await machine.execute("stop")
            await _migrate(machine, far)
            far.close()
            await _read_all(machine, near, decoder)
    except (MachineError, MigrationError) as error:
        raise _failed(error) from error
    return Captured(decoder.blocks, decoder.nonzero_pages(), decoder.state)


class HeldCapture:
    """A machine whose next changes are being recorded: arm, let it run, collect.

    Args:
        machine: a machine restored from `origin` and never run.
        origin: what the delta will be against.
    """

    def __init__(self, machine: Machine, origin: Parent) -> None:
        self._machine = machine
        self._origin = origin
        self._decoder = _decoder(machine)
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None
        self._flaw: str | None = None
        self.sent: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        """After `collect`, the numbers of the pages that QEMU sent since `arm`: those it had marked
        as written, and from `hold_page` on the rest of its first pass."""

    @property
    def flaw(self) -> str | None:
        """Why the machine could not be armed, as a clause; `collect` then captures everything."""
        return self._flaw

    async def arm(self) -> None:
        """Run QEMU's first pass over memory up to the margin. Belongs off the request path.

        Raises CaptureError when the machine does not answer; when it only cannot be held back,
        `flaw` says why.
        """
        hold = hold_page(self._origin, margin())
        if hold is None:
            self._flaw = "its memory has too little content to hold the stream back with"
            return
        self._near, self._far = _sockets(BROAD)
        try:
            await _migrate(self._machine, self._far)
            self._decoder.keep = False
            async with asyncio.timeout(STEP_DEADLINE_S):
                await self._machine.unless_ended(self._first_pass(hold))
            self._decoder.keep = True
            self._flaw = await self._check()
        except (MachineError, MigrationError) as error:
            raise _failed(error) from error
        except TimeoutError as error:
            raise _failed(self._machine.error("QEMU's first pass took too long")) from error
        if self._flaw is not None:
            await self._give_up()

    async def collect(self) -> Captured:
        """Stop the machine and return what it wrote since `arm`; `resume` lets it go on.

        Pages that are as they were in the parent are left out. Raises CaptureError.
        """
        if self._flaw is not None or self._near is None or self._far is None:
            return await self._collect_whole(self._flaw or "it was never armed")
        near, far = self._near, self._far
        try:
            with near:
                await self._machine.execute("stop")
                far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WIDE)
                # While this end is open here, the end of the stream would not be seen.
                far.close()
                await _read_all(self._machine, near, self._decoder)
        except (MachineError, MigrationError) as error:
            raise _failed(error) from error
        finally:
            self.close()
        pages = self._decoder.pages()
        self.sent = pages.numbers
        delta = self._origin.difference(pages)
        return Captured(self._decoder.blocks, delta, self._decoder.state)

    async def _collect_whole(self, cause: str) -> Captured:
        """Make the delta out of a full capture: as exact, but it costs a look at all of memory."""
        whole = await capture_full(self._machine)
        numbers = np.arange(self._origin.blocks[-1].end_page, dtype=np.uint64)
        if whole.blocks != self._origin.blocks:
            raise CaptureError(
                "The guest's memory blocks are not those of its parent, so no delta can be taken. "
                "Delete the base snapshot to have it made anew.",
                command=self._machine.command,
            )
        data = np.zeros((len(numbers), PAGE_SIZE), np.uint8)
        data[whole.pages.numbers.astype(np.intp)] = whole.pages.data
        delta = self._origin.difference(PageSet(numbers, data))
        return Captured(whole.blocks, delta, whole.state, cause)

    def close(self) -> None:
        """Close the sockets; a machine that is still armed must then be given up."""
        for end in (self._near, self._far):
            if end is not None:
                end.close()
        self._near = self._far = None

    async def _first_pass(self, hold: int) -> None:
        """Read until the record before page `hold`, and not one byte that could follow it."""
        assert self._near is not None and self._far is not None
        broad = True
        loop = asyncio.get_running_loop()
        while not self._decoder.blocks:
            await self._feed(await loop.sock_recv(self._near, 1))
        while (left := hold - self._decoder.next_page) > 0:
            if broad and left * LEAST_RECORD < 4 * BROAD:
                self._far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
                broad = False
            await self._feed(await loop.sock_recv(self._near, min(left * LEAST_RECORD, READ_SIZE)))

    async def _feed(self, data: bytes) -> None:
        if not data:
            raise MigrationError("QEMU ended the migration in its first pass.")
        self._decoder.feed(data)

    async def _check(self) -> str | None:
        """Return why the machine is not held back as it should be, or None."""
        if self._decoder.blocks != self._origin.blocks:
            return "its memory blocks are not those of the parent"
        migration = (await self._machine.execute("query-migrate"))["status"]
        if migration != "active":
            return f"its migration is {migration} instead of active"
        status = (await self._machine.execute("query-status"))["status"]
        if status not in ("paused", "prelaunch"):
            return f"the machine is {status} instead of paused"
        return None

    async def _give_up(self) -> None:
        """Cancel the migration, so that a full capture can follow."""
        self.close()
        await self._machine.execute("migrate_cancel")


async def resume(machine: Machine) -> None:
    """Let a machine go on after a capture.

    QEMU closes the stream only when the migration is over and done with, so it takes `cont` at
    once.
    """
    await machine.execute("cont")


@functools.cache
def margin() -> int:
    """Return how many bytes of page contents must stay unread to hold QEMU back.

    QEMU goes on until the socket takes no more; how much that is, is measured on this kernel, and
    the margin is a multiple of it.
    """
    near, far = _sockets(NARROW)
    taken = 0
    with near, far, contextlib.suppress(BlockingIOError):
        far.setblocking(False)
        while True:
            taken += far.send(bytes(LEAST_MARGIN))
    return max(LEAST_MARGIN, 3 * taken)


def hold_page(origin: Parent, margin: int) -> int | None:
    """Return the page before which the first pass stops: the last with `margin` bytes after it.

    None when the parent has too little content for that.
    """
    end = origin.blocks[-1].end_page
    held = 0
    while end > 0:
        start = max(0, end - 256)
        numbers = np.arange(start, end, dtype=np.uint64)
        content = np.flatnonzero(origin.contents(numbers).reshape(-1, PAGE_SIZE).any(axis=1))
        missing = -(-(margin - held) // PAGE_SIZE)
        if len(content) >= missing:
            return start + int(content[-missing])
        held += len(content) * PAGE_SIZE
        end = start
    return None


async def _migrate(machine: Machine, far: socket.socket) -> None:
    await machine.hand_over(far.fileno(), FD_NAME)
    await machine.execute("migrate", uri=f"fd:{FD_NAME}")


async def _read_all(machine: Machine, near: socket.socket, decoder: StreamDecoder) -> None:
    """Feed the decoder until the stream's end, which must be that of the state."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(STEP_DEADLINE_S):
            while data := await loop.sock_recv(near, READ_SIZE):
                decoder.feed(data)
    except (TimeoutError, OSError) as error:
        raise machine.error("QEMU did not send its whole state") from error
    try:
        decoder.finish()
    except MigrationError:
        # A machine that was killed is no flaw of the stream's format.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(machine.wait(), ENDING_S)
            raise machine.error("QEMU ended before it had sent its whole state") from None
        raise


def _sockets(send_buffer: int) -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    return near, far


def _decoder(machine: Machine) -> StreamDecoder:
    return StreamDecoder(max_ram=machine.hardware.memory + FIRMWARE_ROOM)


def _failed(error: MachineError | MigrationError) -> CaptureError:
    return CaptureError(
        f"The guest's state could not be captured: {error.message} The machine is given up.",
        command=error.command,
        log_tail=error.log_tail,
    )
