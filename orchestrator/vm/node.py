"""One image made ready to serve: its base snapshot, and pools of machines that start from it."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from orchestrator.anticipation import Anticipation
from orchestrator.errors import CaptureError
from orchestrator.function import Function
from orchestrator.image import (
    BOOT_DEADLINE_S,
    PROBE_NAME,
    check_mark,
    check_runtime,
    image_digest,
    image_mark,
)
from orchestrator.invocation import InvocationError
from orchestrator.machines import accelerator
from orchestrator.machines.backend import machine_type
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine
from orchestrator.points import Named
from orchestrator.rehearsal import REHEARSALS, rehearsal
from orchestrator.settings import Settings
from orchestrator.traffic import Traffic
from orchestrator.vm.capture import Captured, capture_full
from orchestrator.vm.instance import Instance
from orchestrator.vm.pool import Pool, ReadyMachine, make_armed, make_waiting
from orchestrator.vm.restore import Origin
from snapshot_store import (
    CorruptSnapshotError,
    Depth,
    Draft,
    Level,
    Manifest,
    Plan,
    Snapshot,
    SnapshotStore,
    UnknownSnapshotError,
)

logger = logging.getLogger(__name__)

OPTIMISE_DEADLINE_S = 600.0
TURN_INTERVAL_S = 0.05
WAITING_PATIENCE_S = 0.02
"""Pause between requests before a waiting machine is made, so that a call right after another has
the processors for itself."""
ARMED_PATIENCE_S = 0.1
"""The same of an armed one, which only a function's first call needs, and which takes longer."""


@dataclass
class Base:
    """A base snapshot in use: its memory, and the pools that start from it."""

    snapshot: Snapshot
    origin: Origin
    waiting: Pool[ReadyMachine]
    armed: Pool[ReadyMachine]

    async def close(self) -> None:
        """End the pools' machines and give the memory up."""
        try:
            await self.waiting.close()
        finally:
            try:
                await self.armed.close()
            finally:
                self.origin.close()


class VmNode:
    """An image, the hardware it runs on, its snapshots, and machines kept ready.

    A context manager: entering chooses the accelerator and opens the store; leaving ends every
    machine. Raises ImageError without an image, AcceleratorError, StoreError.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.traffic = Traffic()
        self.hardware: Hardware
        self.store: SnapshotStore
        self.image: str
        """SHA-256 of the image."""
        self._mark: list[int] = []
        self._facts: Mapping[str, str] = {}
        self._base: Base | None = None
        self._unusable: set[str] = set()
        """Bases that were found damaged."""
        self._one_base = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()
        self._writer = ThreadPoolExecutor(1, "seuss-store")
        """Stores function snapshots one by one, so that requests never wait for its disk."""

    async def __aenter__(self) -> Self:
        settings = self.settings
        self._mark = image_mark(settings.image)
        self.image = await asyncio.to_thread(image_digest, settings.image)
        chosen = await accelerator.choose(
            settings.accelerator, settings.image.with_name(PROBE_NAME)
        )
        logger.info("accelerator: %s", chosen.reason)
        self.hardware = Hardware(
            *(chosen, settings.machine, settings.memory_mib, settings.cores),
            backend=settings.machine_backend,
            network=settings.network,
        )
        facts = self.hardware.facts(await accelerator.qemu_version())
        self._facts = facts | settings.ao.facts()
        # Not in a thread: a cancellation would leave a store behind that nobody closes.
        self.store = SnapshotStore(settings.store)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        base, self._base = self._base, None
        try:
            if base is not None:
                await base.close()
        finally:
            try:
                while self._background:
                    await asyncio.wait(self._background)
            finally:
                self._writer.shutdown()
                self.store.close()

    def retire(self, item: Machine | ReadyMachine | Pool[ReadyMachine]) -> None:
        """End a machine, or a pool, off the request path; leaving the node waits for that."""
        task = asyncio.create_task(item.close())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def unbooted(self) -> Machine:
        """Return a machine, not yet started, that boots the image. Raises ImageError."""
        # Snapshots of this image must not be mixed with machines of another.
        check_mark(self.settings.image, self._mark)
        return machine_type(self.hardware)(self.hardware, kernel=self.settings.image)

    async def base(self) -> Base:
        """Return the base that fits this image, hardware and choice of AO, taken if need be."""
        async with self._one_base:
            if self._base is None:
                self._base = await self._open_base(await self._one_for_all())
            return self._base

    def plan_function(self, base: Base, captured: Captured, function: Function) -> Plan:
        """Plan the snapshot of a loaded function, a delta against the base. Takes milliseconds."""
        parent = base.snapshot.id
        return self.store.plan(
            self._draft(captured, Level.FUNCTION, function.name, parent, function.id)
        )

    def plan_argument(
        self, captured: Captured, parent: str, function: Function, named: Named
    ) -> Plan:
        """Plan the snapshot of a function at its point, a delta against its own, now stored."""
        return self.store.plan(
            self._draft(captured, Level.ARGUMENT, named.label, parent, function.id, named.key)
        )

    def find_arguments(self, function: Function, parent: str | None = None) -> list[Manifest]:
        """Return the snapshots at the function's point, newest first; on `parent` if given."""
        return self.store.find(
            depth=Depth.VM, level=Level.ARGUMENT, function=function.id, parent=parent
        )

    async def carry_out(self, plan: Plan) -> Snapshot:
        """Store a planned snapshot; it is on disk when this returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self.store.carry_out, plan)

    def find_function(self, base: Base, function: Function) -> Manifest | None:
        """Return the newest snapshot of a function on this base."""
        found = self.store.find(
            depth=Depth.VM, level=Level.FUNCTION, function=function.id, parent=base.snapshot.id
        )
        return found[0] if found else None

    async def _one_for_all(self) -> Snapshot:
        """Find or take the base; processes that start together take one and share it."""
        while True:
            found = await self._find_base()
            if found is not None:
                return found
            with self.store.base_turn() as mine:
                if mine:
                    return await self._find_base() or await self._take_base()
            await asyncio.sleep(TURN_INTERVAL_S)

    async def _find_base(self) -> Snapshot | None:
        search = functools.partial(
            self.store.find,
            depth=Depth.VM,
            level=Level.BASE,
            image=self.image,
            runtime=self.settings.runtime,
            ao=self.settings.ao is not Anticipation.NONE,
            facts=self._facts,
        )
        for found in await asyncio.to_thread(search):
            if found.id in self._unusable:
                continue
            try:
                return await asyncio.to_thread(self.store.open, found.id, verify=True)
            except (CorruptSnapshotError, UnknownSnapshotError) as error:
                self._unusable.add(found.id)
                logger.warning("%s. Another base is used, and taken if need be", error.message)
        return None

    async def _take_base(self) -> Snapshot:
        started = time.monotonic()
        async with self.unbooted() as machine:
            instance = Instance(machine)
            await instance.synchronise()
            ready = await instance.ready(BOOT_DEADLINE_S)
            check_runtime(self.settings.image, self.settings.runtime, ready)
            if self.settings.ao is not Anticipation.NONE:
                await instance.optimise(OPTIMISE_DEADLINE_S, self.settings.ao)
            if self.settings.ao is Anticipation.FULL:
                for _ in range(REHEARSALS):
                    await _rehearse(instance, rehearsal(self.settings.runtime))
            captured = await capture_full(machine)
        check_mark(self.settings.image, self._mark)
        draft = self._draft(captured, Level.BASE, "base")
        snapshot = await asyncio.to_thread(self.store.commit, draft)
        logger.info(
            "base snapshot %s of %d pages taken in %.1f s",
            *(snapshot.id, snapshot.manifest.stored_pages, time.monotonic() - started),
        )
        return snapshot

    async def _open_base(self, snapshot: Snapshot) -> Base:
        origin = await asyncio.to_thread(
            lambda: Origin(snapshot.manifest.blocks, snapshot.merged_pages(), snapshot.state())
        )
        size = self.settings.pool_size
        # Without AO, what a first request costs is to be seen, not paid ahead.
        warm_up = None
        if self.settings.ao is Anticipation.FULL:
            warm_up = functools.partial(_warm_up, rehearsal(self.settings.runtime))
        return Base(
            snapshot,
            origin,
            Pool(
                functools.partial(make_waiting, origin, self.hardware),
                *(size, self.traffic, WAITING_PATIENCE_S),
            ),
            Pool(
                functools.partial(make_armed, origin, self.hardware, warm_up),
                *(size, self.traffic, ARMED_PATIENCE_S),
            ),
        )

    def _draft(
        self,
        captured: Captured,
        level: Level,
        label: str,
        parent: str | None = None,
        function: str | None = None,
        key: str | None = None,
    ) -> Draft:
        return Draft(
            depth=Depth.VM,
            level=level,
            image=self.image,
            runtime=self.settings.runtime,
            blocks=captured.blocks,
            pages=captured.pages,
            state=captured.state,
            parent=parent,
            function=function,
            key=key,
            label=label,
            ao=self.settings.ao is not Anticipation.NONE,
            facts=self._facts,
        )


async def _warm_up(function: Function, instance: Instance) -> None:
    await instance.synchronise()
    await _rehearse(instance, function)


async def _rehearse(instance: Instance, function: Function) -> None:
    """Take a function through the whole path once, as requests will."""
    outcome: object = await instance.load(function, BOOT_DEADLINE_S)
    if outcome is None:
        outcome = await instance.invoke({"rehearsal": [1, "two", None]}, BOOT_DEADLINE_S)
    if isinstance(outcome, InvocationError):
        raise CaptureError(
            f"The rehearsal before the base snapshot failed: {outcome.kind}: {outcome.message} "
            "Rebuild the image with make image.",
            log_tail="\n".join(instance.log),
        )
    await instance.unload(BOOT_DEADLINE_S)
