"""A node: one machine that runs many unikernel contexts (UCs) and keeps their snapshots inside."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import pathlib
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from orchestrator.answers import GRACE_S
from orchestrator.anticipation import Anticipation
from orchestrator.errors import MachineError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine
from orchestrator.machines.shared_memory import SharedMemory
from orchestrator.rehearsal import TRACELESS
from orchestrator.uc.borrowed import BorrowedPages
from orchestrator.uc.multiplexer import Multiplexer, Reply
from orchestrator.uc.shared_region import SharedRegion
from orchestrator.wire import SEED_SIZE, SNAPSHOT, Frame, MessageType, sync_payload
from snapshot_store import PAGE_SIZE

logger = logging.getLogger(__name__)

BOOT_DEADLINE_S = 120.0
ORDER_DEADLINE_S = 30.0
"""How long the kernel may take for what it does itself: deploy, capture, end, evict, status."""
UC_MEMORY_PART = 4
"""A UC may own one part in this many of a node's memory, so that one cannot starve the others."""
MOST_UC_MEMORY_MIB = 1024
FRAMES_PER_MIB = (1 << 20) // PAGE_SIZE

CLOCK_PAUSE_S = 10.0

_ADDRESS = struct.Struct("<Q")
_PLACE = struct.Struct("<II")
"""Where a list goes on: a snapshot's number, a UC's id."""

_generations = itertools.count(1)


def share_mib(hardware: Hardware) -> int:
    """Return the MiB that a UC may own of a node."""
    return min(MOST_UC_MEMORY_MIB, hardware.memory_mib // UC_MEMORY_PART)


def share_frames(hardware: Hardware) -> int:
    """Return the frames that a UC may own of a node."""
    return share_mib(hardware) * FRAMES_PER_MIB


@dataclass(frozen=True)
class CapturedContext:
    """A snapshot inside a node: its number, its parent's (0: none), its own pages, guest time."""

    snapshot: int
    parent: int
    pages: int
    ns: int


class UcNode:
    """A machine in node mode. An async context manager: leaving it ends the machine.

    Every call has a deadline. A UC is named by its number, a snapshot by its own; `SNAPSHOT |
    number` as a context deploys a UC from it for the request. When the machine ends, requests under
    way get an error of kind `node-died` and `alive` is False: start another node.

    Args:
        hardware: what the node runs on.
        image: the guest's ELF.
        region: memory that snapshots come in through, shared with other nodes.
        ended: called with a UC's number when it ended while it served nothing.
        monitor: listening socket on which a debugger can reach the machine.
    """

    def __init__(
        self,
        hardware: Hardware,
        image: pathlib.Path,
        region: SharedRegion | None = None,
        ended: Callable[[int], None] | None = None,
        monitor: socket.socket | None = None,
    ) -> None:
        self.hardware = hardware
        self.memory = SharedMemory(hardware.memory)
        """The node's RAM, by physical address."""
        self.region = region
        """Memory that the node maps behind its own."""
        self.borrowed = BorrowedPages((lambda snapshot: None) if region is None else region.release)
        """What it uses of the region."""
        words = [
            "seuss.mode=node",
            f"seuss.uc_memory={share_mib(hardware)}M",
        ]
        if region is not None:
            words.append(region.option(hardware))
        self.machine = Machine(
            hardware,
            ram=self.memory,
            kernel=image,
            region=None if region is None else region.memory,
            append=" ".join(words),
            monitor=monitor,
        )
        self.ready: dict[str, Any] = {}
        """What the last program started said of itself."""
        self._tell_ended = ended
        self._mux: Multiplexer
        self._background: set[asyncio.Task[None]] = set()
        self._clock: asyncio.Task[None] | None = None
        self._one_boot = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def alive(self) -> bool:
        """Whether requests can be made."""
        return self.machine.status is None and self._mux.failure is None

    @property
    def strays(self) -> int:
        """Frames that answered nothing."""
        return self._mux.strays

    @property
    def waiting(self) -> int:
        """Requests under way."""
        return self._mux.waiting

    async def start(self) -> None:
        """Boot the kernel; it starts no UC by itself. Raises MachineError, and leaves nothing."""
        try:
            await self.machine.start()
        except BaseException:
            self.memory.close()
            raise
        self._mux = Multiplexer(self.machine, self._context_ended, self._orphaned, self._unasked)
        try:
            self._synchronise()
            await self.status()
            # Only now is the kernel known to read at once, so that the time is true when it does.
            self._synchronise()
        except BaseException:
            await self.close()
            raise
        self._clock = asyncio.create_task(self._keep_time())

    async def close(self) -> None:
        """End the machine, whatever runs in it; may be called again."""
        if self._clock is not None:
            self._clock.cancel()
        try:
            await self._mux.close()
        finally:
            try:
                await self.machine.close()
                if self._background:
                    await asyncio.wait(self._background)
            finally:
                self.borrowed.close()
                self.memory.close()

    async def boot(self) -> int:
        """Start a UC from the program; return its number once it is ready. Raises MachineError."""
        booting = asyncio.create_task(self._boot())
        try:
            return await asyncio.shield(booting)
        except asyncio.CancelledError:
            # READY names no request, so this one's must not be left for the next boot.
            self._in_background(self._end_booted(booting))
            raise

    async def optimise(self, context: int, step: Anticipation = Anticipation.FULL) -> None:
        """Have a UC do anticipatory optimisation up to `step`. Raises MachineError."""
        self._expect(
            "optimise a context",
            await self._mux.begin(
                *(MessageType.OPTIMISE, MessageType.DONE),
                payload=step.request,
                context=context,
                deadline_s=BOOT_DEADLINE_S,
            ),
        )

    def load(
        self, context: int, function: Function, limit_s: float, rights: bytes = b""
    ) -> asyncio.Future[Reply]:
        """Import a function in a UC, or in one deployed for that."""
        kinds = MessageType.LOAD, MessageType.LOADED
        return self._limited(kinds, context, function.load_payload, limit_s, rights)

    def invoke(
        self, context: int, arguments: bytes, limit_s: float, rights: bytes = b""
    ) -> asyncio.Future[Reply]:
        """Run the function loaded in a UC, or in one deployed for that; `arguments` is JSON."""
        kinds = MessageType.INVOKE, MessageType.RESULT
        return self._limited(kinds, context, arguments, limit_s, rights)

    def begin(
        self, context: int, payload: bytes, limit_s: float, rights: bytes = b""
    ) -> asyncio.Future[Reply]:
        """Run the function up to its snapshot point, where it has itself captured.

        The answer is POINT: it waits there for `rest`, or did not run because it has other names;
        or RESULT: it ended without getting there.
        """
        kinds = MessageType.BEGIN, MessageType.POINT, MessageType.RESULT
        return self._limited(kinds, context, payload, limit_s, rights)

    def rest(
        self, context: int, payload: bytes, limit_s: float, rights: bytes = b""
    ) -> asyncio.Future[Reply]:
        """Have the function go on from its snapshot point, in a UC that waits there or a copy."""
        kinds = MessageType.REST, MessageType.RESULT
        return self._limited(kinds, context, payload, limit_s, rights)

    def _limited(
        self,
        kinds: tuple[MessageType, *tuple[MessageType, ...]],
        context: int,
        payload: bytes,
        limit_s: float,
        rights: bytes,
    ) -> asyncio.Future[Reply]:
        """Begin a request of the first kind, which the function's time limit bounds."""
        return self._mux.begin(
            *kinds,
            context=context,
            payload=payload,
            limit_s=limit_s,
            deadline_s=limit_s + GRACE_S,
            rights=rights,
        )

    async def unload(self, context: int) -> None:
        """Have a UC forget the rehearsal's function. Raises MachineError."""
        self._expect(
            "unload a function",
            await self._mux.begin(
                *(MessageType.UNLOAD, MessageType.DONE),
                payload=TRACELESS,
                context=context,
                deadline_s=ORDER_DEADLINE_S,
            ),
        )

    def begin_capture(self, context: int) -> asyncio.Future[Reply]:
        """Capture a UC between two requests; read the reply with `captured`."""
        return self._order(MessageType.CAPTURE, MessageType.CAPTURED, context)

    async def capture(self, context: int) -> CapturedContext:
        """Capture a UC between two requests. Raises MachineError."""
        reply = await self.begin_capture(context)
        return self.captured(self._expect("capture a context", reply))

    async def break_at(self, context: int, address: int) -> asyncio.Future[Reply]:
        """Have a UC captured when it next executes `address`, without its help; it goes on then.

        The UC's program is not told and needs no support. Return, once the breakpoint is set, what
        will hold the reply; read it with `captured`. A copy deployed from it goes on behind the
        breakpoint. Raises MachineError when the node refuses.
        """
        hit = self._mux.at_breakpoint(context)
        reply = await self._mux.begin(
            *(MessageType.BREAK, MessageType.DONE),
            context=context,
            payload=_ADDRESS.pack(address),
            deadline_s=ORDER_DEADLINE_S,
        )
        self._expect("set a breakpoint", reply)
        return hit

    def captured(self, told: Reply | Frame) -> CapturedContext:
        """Read what a capture came to. Raises MachineError for what makes no sense."""
        numbers = _numbers(told, "snapshot", "parent", "pages", "ns")
        if numbers is None or not 0 < numbers[0] < SNAPSHOT:
            raise self.machine.error("The node's answer to CAPTURE makes no sense")
        self.borrowed.made(numbers[0], numbers[1])
        return CapturedContext(*numbers)

    async def deployed(self, request: asyncio.Future[Reply]) -> Reply:
        """Await a request that deploys a UC, which is ended if nobody hears of it any more."""
        try:
            return await request
        except asyncio.CancelledError:
            # The answer may have come at the same moment.
            if not request.cancelled() and request.result().context:
                reply = request.result()
                self.end_soon(reply.context)
                if reply.captured is not None:
                    self._unasked(reply.captured)
            raise

    async def deploy(self, snapshot: int) -> tuple[int, int] | InvocationError:
        """Make an idle UC; return its number and the nanoseconds it took by the guest's clock."""
        reply = await self.deployed(
            self._order(MessageType.DEPLOY, MessageType.DEPLOYED, SNAPSHOT | snapshot)
        )
        if reply.error is not None:
            return reply.error
        told = _numbers(reply, "context", "ns")
        if told is None or told[0] != reply.context:
            raise self.machine.error("The node's answer to DEPLOY makes no sense")
        return reply.context, told[1]

    async def end(self, context: int) -> InvocationError | None:
        """End a UC; return what went wrong: it may have ended by itself."""
        reply = await self._order(MessageType.END, MessageType.DONE, context)
        self._mux.forget(context)
        return reply.error

    async def evict(self, snapshot: int) -> InvocationError | None:
        """Forget a snapshot; its memory lives until its last user ends."""
        reply = await self._order(MessageType.EVICT, MessageType.DONE, SNAPSHOT | snapshot)
        if reply.error is None:
            self.borrowed.evicted(snapshot)
        return reply.error

    async def give_back(self) -> None:
        """Have the region get back the pages that nothing in the node uses. Raises MachineError."""
        if not self.borrowed.waiting:
            return
        gone = self.borrowed.gone
        contexts = (await self.list())["contexts"]
        try:
            origins = {int(each["snapshot"]) for each in contexts}
        except (KeyError, TypeError, ValueError):
            raise self.machine.error("The node's list of contexts makes no sense") from None
        await asyncio.to_thread(self.borrowed.settle, origins, gone)

    async def export(self, snapshot: int) -> bytes:
        """Return where a snapshot's own pages lie in `memory`, and its state, as EXPORTED has it.

        Raises MachineError when the node refuses.
        """
        context = SNAPSHOT | snapshot
        reply = await self._order(MessageType.EXPORT, MessageType.EXPORTED, context)
        answer = self._expect("export a snapshot", reply).answer
        assert isinstance(answer, Frame)
        return answer.payload

    async def import_snapshot(self, payload: bytes, parent: int) -> CapturedContext:
        """Make a snapshot of pages in the shared region; `payload` is as IMPORT has it.

        Raises MachineError when the node refuses.
        """
        reply = await self._mux.begin(
            *(MessageType.IMPORT, MessageType.CAPTURED),
            context=SNAPSHOT | parent if parent else 0,
            payload=payload,
            deadline_s=ORDER_DEADLINE_S,
        )
        return self.captured(self._expect("import a snapshot", reply))

    async def status(self) -> dict[str, Any]:
        """Return the kernel's account of itself. Raises MachineError."""
        return self._json(await self._order(MessageType.STATUS_REQUEST, MessageType.STATUS, 0))

    async def list(self) -> dict[str, Any]:
        """Return the node's UCs and snapshots, all of them. Raises MachineError.

        What comes or goes while it is asked for page by page may be missing.
        """
        pages: list[dict[str, Any]] = []
        place = b"{}"
        while place:
            reply = await self._mux.begin(
                *(MessageType.LIST, MessageType.LISTED),
                payload=place,
                deadline_s=ORDER_DEADLINE_S,
            )
            pages.append(self._json(reply))
            place = self._next_place(pages[-1], place)
        whole = pages[-1]
        for kind in ("snapshots", "contexts"):
            whole[kind] = [entry for page in pages for entry in page[kind]]
        return whole

    async def free_frames(self) -> int:
        """Return how many frames of 4 KiB are free. Raises MachineError."""
        free = (await self.status()).get("free_frames")
        if not isinstance(free, int):
            raise self.machine.error("The node's STATUS names no free_frames")
        return free

    def end_soon(self, context: int) -> None:
        """End a UC off the request path."""
        self._in_background(self._end_quietly(context))

    async def give_up(self, reason: InvocationError) -> None:
        """Treat the node as dead: requests under way get `reason`, and the machine is ended."""
        self._mux.fail(reason)
        await self.machine.close()

    def error(self, message: str) -> MachineError:
        """Return an error that carries the machine's command and last words."""
        return self.machine.error(message)

    def _synchronise(self) -> None:
        payload = sync_payload(time.time_ns(), next(_generations), os.urandom(SEED_SIZE))
        self._mux.notify(Frame(MessageType.SYNC, payload))

    async def _keep_time(self) -> None:
        """Set the guest's clock now and then: it drifts, and the host's may be set."""
        while self.alive:
            await asyncio.sleep(CLOCK_PAUSE_S)
            # Behind other requests the frame would tell a time that is over.
            if self.waiting == 0:
                self._synchronise()

    def _order(self, kind: MessageType, answer: MessageType, context: int) -> asyncio.Future[Reply]:
        return self._mux.begin(kind, answer, context=context, deadline_s=ORDER_DEADLINE_S)

    def _expect(self, what: str, reply: Reply) -> Reply:
        if reply.error is not None:
            raise self.error(f"The node could not {what}: {reply.error.message}")
        return reply

    def _json(self, reply: Reply) -> dict[str, Any]:
        answer = self._expect("tell its state", reply).answer
        assert isinstance(answer, Frame)
        return answer.json()

    async def _boot(self) -> int:
        async with self._one_boot:
            reply = await self._mux.begin_boot(BOOT_DEADLINE_S)
        booted = self._expect("start a context", reply)
        if isinstance(booted.answer, Frame):
            self.ready = booted.answer.json()
        return booted.context

    async def _end_booted(self, booting: asyncio.Task[int]) -> None:
        with contextlib.suppress(MachineError):
            await self.end(await booting)

    def _next_place(self, page: dict[str, Any], place: bytes) -> bytes:
        """Return the payload that asks for the page behind this one, or nothing."""
        match page:
            case {"snapshots": list(), "contexts": list(), "next": None}:
                return b""
            case {
                "snapshots": list(),
                "contexts": list(),
                "next": [int(snapshot), int(context)],
            } if 0 <= snapshot < 1 << 32 and 0 <= context < 1 << 32:
                following = _PLACE.pack(snapshot, context)
                if following != place:
                    return following
        raise self.machine.error("The node's answer to LIST makes no sense")

    async def _end_quietly(self, context: int) -> None:
        await self.end(context)

    def _in_background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _orphaned(self, context: int) -> None:
        self.end_soon(context)

    def _unasked(self, captured: Frame) -> None:
        """Forget a snapshot that a UC had taken of itself for no reason of ours."""
        with contextlib.suppress(MachineError):
            self._in_background(self._evict_quietly(self.captured(captured).snapshot))

    async def _evict_quietly(self, snapshot: int) -> None:
        await self.evict(snapshot)

    def _context_ended(self, context: int, reason: InvocationError) -> None:
        logger.info("context %d ended: %s: %s", context, reason.kind, reason.message)
        if self._tell_ended is not None:
            self._tell_ended(context)


def _numbers(told: Reply | Frame, *names: str) -> tuple[int, ...] | None:
    """Return the named whole numbers of a JSON answer, or None if it lacks one."""
    answer = told.answer if isinstance(told, Reply) else told
    if not isinstance(answer, Frame):
        return None
    try:
        members = json.loads(answer.payload)
        values = tuple(members[name] for name in names)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return values if all(type(value) is int and value >= 0 for value in values) else None
