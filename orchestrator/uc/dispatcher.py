"""Answering invocations in unikernel contexts of one node: which path each takes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from orchestrator.answers import encode_arguments
from orchestrator.anticipation import Anticipation
from orchestrator.errors import PoolClosedError
from orchestrator.function import Function
from orchestrator.image import PROBE_NAME, check_mark, image_digest, image_mark
from orchestrator.invocation import Invocation, InvocationError
from orchestrator.machines import accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.network import Resolver, check_card
from orchestrator.paths import Path
from orchestrator.points import no_point
from orchestrator.runtime_folder import runtime_folder
from orchestrator.settings import Settings, checked_timeout
from orchestrator.uc.life import Life
from orchestrator.uc.multiplexer import Reply
from orchestrator.uc.needs import Needs
from orchestrator.uc.node import ORDER_DEADLINE_S, UcNode, share_frames
from orchestrator.uc.request import GONE, Request
from orchestrator.uc.shared_region import SharedRegion, check_memory
from orchestrator.uc.store import StoredContexts, context_facts
from snapshot_store import SnapshotStore

logger = logging.getLogger(__name__)


class UcDispatcher:
    """Answers invocations from idle UCs and in-node snapshots, and takes the missing ones.

    An async context manager: leaving it ends the node. Invocations may run at the same time; first
    calls of one function import it once. A node that dies fails the requests it serves with
    `node-died`; the next request starts another.

    Args:
        settings: image, store, hardware.
        monitor: listening socket on which a debugger can reach the node's machine.
    """

    def __init__(self, settings: Settings, monitor: socket.socket | None = None) -> None:
        self.settings = settings
        self._monitor = monitor
        self.hardware: Hardware
        self._store: SnapshotStore
        self._stored: StoredContexts
        self._region: SharedRegion
        self._needs: Needs
        self._mark: list[int] = []
        self._life: Life | None = None
        self._one_life = asyncio.Lock()
        self._closed = False
        self._resolver = Resolver()

    async def __aenter__(self) -> Self:
        settings = self.settings
        self._mark = image_mark(settings.image)
        image = await asyncio.to_thread(image_digest, settings.image)
        chosen = await accelerator.choose(
            settings.accelerator, settings.image.with_name(PROBE_NAME)
        )
        logger.info("accelerator: %s", chosen.reason)
        self.hardware = Hardware(
            chosen,
            settings.machine,
            settings.memory_mib,
            settings.cores,
            network=settings.network,
        )
        facts = context_facts(self.hardware.facts(await accelerator.qemu_version()))
        facts |= settings.ao.facts()
        check_memory(self.hardware)
        self._needs = Needs(share_frames(self.hardware))
        # Not in a thread: a cancellation would leave a store behind that nobody closes.
        self._store = SnapshotStore(settings.store)
        try:
            self._region = SharedRegion(folder=runtime_folder() / "regions", image=image)
        except BaseException:
            self._store.close()
            raise
        self._stored = StoredContexts(
            self._store,
            image,
            settings.runtime,
            facts,
            settings.ao is not Anticipation.NONE,
            self._region,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        try:
            async with self._one_life:  # one that is just starting is ended too
                life, self._life = self._life, None
            if life is not None:
                await life.close()
        finally:
            self._region.close()
            self._store.close()

    @property
    def accelerator(self) -> str:
        """Name of the accelerator in use: kvm or tcg."""
        return self.hardware.accelerator.name

    async def ensure_base(self) -> None:
        """Start the node and take its base snapshot, unless that is done. Raises SeussError."""
        await self.life()

    async def prepare(self, count: int, path: Path = Path.AUTO) -> None:
        """Have the node running: it keeps nothing else ready."""
        await self.life()

    async def flush(self) -> None:
        """Wait until every snapshot taken so far is on disk; leaving the dispatcher does too."""
        if self._life is not None:
            await self._life.flush()

    async def starting_point(self, function: Function) -> Path:
        """Return auto: which path a call takes shows when it is made, and nothing depends on it."""
        return Path.AUTO

    @property
    def running(self) -> Life | None:
        """The node that runs now; None while there is none, and none is started."""
        life = self._life
        return life if life is not None and life.node.alive else None

    async def life(self) -> Life:
        """Return the running node with its base; a new one if the last died. Raises SeussError."""
        async with self._one_life:
            if self._life is not None and not self._life.node.alive:
                logger.warning("the node died; starting another")
                dead, self._life = self._life, None
                await dead.close()
            if self._closed:
                raise PoolClosedError("No node is started any more: the dispatcher was closed.")
            if self._life is None:
                self._life = await self._begin()
            return self._life

    async def invoke(
        self,
        function: Function,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Invocation:
        """Call a function; its own failure is the invocation's `error`, never an exception.

        `timeout_s` bounds the import and the run, each; None takes the settings'. Starting the
        node, and what an explicit warm or hot needs to start from, is not part of the latency; the
        wait for memory in the node, and for another call's import of the same function, is. Raises
        NodeFullError when there is no memory in time, and SeussError when the platform fails.
        """
        limit = self.settings.timeout_s
        if timeout_s is not None:
            limit = checked_timeout(timeout_s)
        check_card(function.name, function.network, self.settings.network)
        rights = await self._resolver.rights(function.network)
        life = await self.life()
        arguments = encode_arguments(args)
        if isinstance(arguments, InvocationError):
            refused = Request(life, function, {}, b"", limit, self.accelerator, b"")
            return refused.answer(path, Reply(arguments, 0))
        while True:
            request = Request(life, function, args, arguments, limit, self.accelerator, rights)
            place = request.claim(path)
            try:
                if not place.waited or await request.wait():
                    return await self._begun(request, path)
            finally:
                place.release()
            # Its node ended while it waited.
            life = await self.life()

    async def _begun(self, request: Request, path: Path) -> Invocation:
        try:
            with request.life.traffic.request():
                return await self._choose(request, path)
        finally:
            if request.reply.error is not None and request.reply.error.kind == "timeout":
                await self._check(request.life)

    async def _choose(self, request: Request, path: Path) -> Invocation:
        life = request.life
        if path is Path.BOOTED:
            return await request.booted()
        if path is Path.COLD:
            return await request.cold()
        if path is Path.AUTO:
            return await self._deepest(request)
        context = request.place.take_idle() if path is Path.HOT else None
        if context is None:
            snapshot = await self._imported(request)
            if isinstance(snapshot, Invocation):
                return replace(snapshot, path=path)
            if path is Path.RESUMED:
                return await self._resumed(request, snapshot)
            if path is Path.WARM:
                return await request.restarted().warm(snapshot)
            deployed = await life.node.deploy(snapshot)
            if isinstance(deployed, InvocationError):
                return request.answer(path, Reply(deployed, 0))
            context, _ = deployed
        return await request.restarted().hot(context)

    async def _imported(self, request: Request) -> int | Invocation:
        """Return the number of the function's snapshot, taken if need be; or why there is none."""
        life, function = request.life, request.function
        snapshot = life.snapshots.find(function.id)
        if snapshot is None:
            snapshot = await request.bring_in()
        if snapshot is None:
            first = await request.cold(run=False)
            snapshot = life.snapshots.find(function.id)
            if first.error is not None or snapshot is None:
                return first
        return snapshot

    async def _resumed(self, request: Request, snapshot: int) -> Invocation:
        """Resume from an argument snapshot that is taken ahead if need be."""
        arguments, function = request.life.arguments, request.function
        if not arguments.points.knows(function):
            await request.ask(snapshot)
        named = request.named()
        if named is None:
            raise no_point(function)
        number = await arguments.find(function, named, snapshot)
        if number is None:
            begun = await request.prime(snapshot, named)
            number = await arguments.find(function, named, snapshot)
            if begun.error is not None:
                return request.answer(Path.RESUMED, begun)
        if number is None:
            # It never got to its point, or could not be captured there.
            return await request.restarted().warm(snapshot)
        return await request.restarted().resumed(number, named)

    async def _deepest(self, request: Request) -> Invocation:
        """Start from the deepest that fits the function and its arguments.

        A function with a snapshot point is resumed even if it has an idle UC: that would have to do
        the common part again.
        """
        life, function = request.life, request.function
        arguments, to_point = life.arguments, True
        while True:
            parent = life.snapshots.find(function.id)
            if parent is not None and arguments.enabled and not arguments.points.knows(function):
                await request.ask(parent)
            named = request.named() if to_point else None
            if named is not None:
                under_way = arguments.under_way(function, named)
                if under_way is not None:
                    await under_way.wait()
                    # Where that gave no snapshot, this call goes without, and waits for nobody.
                    to_point = arguments.kept.holds(function.id, named.key)
                    continue
                number = await arguments.find(function, named, parent)
                if number is not None:
                    answer = await request.resumed(number, named)
                    if not request.unknown:
                        return answer
                    arguments.kept.forget(function.id, named.key, number)
                    continue
                if parent is not None:
                    return await request.to_point(parent, named)
            else:
                context = request.place.take_idle()
                if context is not None:
                    answer = await request.hot(context)
                    if answer.error is None or answer.error.kind != GONE:
                        return answer
                    continue
                if parent is not None:
                    return await request.warm(parent)
            imported = life.importing.get(function.id)
            if imported is not None:
                await imported.wait()
            elif await request.bring_in() is None:
                return await request.cold(to_point=to_point)

    async def _begin(self) -> Life:
        check_mark(self.settings.image, self._mark)
        started: list[Life] = []
        node = UcNode(
            self.hardware,
            self.settings.image,
            self._region,
            lambda context: started[0].idle.forget(context) if started else None,
            self._monitor,
        )
        await node.start()
        try:
            started.append(await Life.begin(node, self._stored, self.settings, self._needs))
        except BaseException:
            await node.close()
            raise
        return started[0]

    async def _check(self, life: Life) -> None:
        """See whether the node still answers after a request did not come back; end it if not."""
        try:
            async with asyncio.timeout(ORDER_DEADLINE_S):
                await life.node.status()
        except Exception as error:  # whatever it says instead of its state, it cannot be used
            await life.node.give_up(InvocationError("node-died", f"The node hangs: {error}"))
