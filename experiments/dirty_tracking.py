"""The dirty-tracking experiment: four ways to find what the import of a function wrote.

A node with a base snapshot is captured whole and restored with its memory mapped privately, so that
one and the same run shows to all four: the kernel's walk over the context's page tables, QEMU's
migration bitmap, the host's pagemap, and a byte diff of guest memory. Whose a frame is, is found by
a walk of the page tables made here, in the dump of memory, without the guest's help.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pathlib
import re
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments import dirty_sets, environment, host_pagemap
from experiments.dirty_record import BITMAP, BYTES, PAGEMAP, SOFT, WALK, DirtyTracking, Sample
from experiments.dirty_sets import Frames, to_runs
from experiments.workloads import WORKLOADS, Workload
from orchestrator.anticipation import Anticipation
from orchestrator.errors import CaptureError, SettingsError
from orchestrator.function import Function
from orchestrator.invocation import InvocationError
from orchestrator.machines import accelerator
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.guest_memory import memory_of
from orchestrator.machines.machine import Machine
from orchestrator.rehearsal import REHEARSALS, rehearsal
from orchestrator.settings import Settings
from orchestrator.uc.multiplexer import Multiplexer
from orchestrator.uc.node import UcNode
from orchestrator.uc.shared_region import ZERO_FRAME
from orchestrator.uc.store import RECORD, split
from orchestrator.vm.capture import HeldCapture, capture_full, hold_page, margin, resume
from orchestrator.vm.restore import Origin, complete, prepare
from orchestrator.wire import SEED_SIZE, SNAPSHOT, Frame, MessageType, sync_payload
from snapshot_store.errors import SeussError
from snapshot_store.pageset import PAGE_SIZE

ROUNDS = 5
QUICK_ROUNDS = 1
LIMIT_S = 60.0
SETTLED_S = 0.05
"""After its answer a context goes on until it waits for the next request."""
MOST_STOPS = 100
MOST_MIB = 2048
"""Up to here a physical address is an offset in memory's file on every machine type."""
GENERATION = 1 << 32
FUNCTIONS = tuple(each for each in WORKLOADS if each.name in ("nop", "echo", "imports"))

Memory = npt.NDArray[np.uint8]
Report = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


@dataclass(frozen=True)
class Plan:
    """What to run: settings of the node, samples of each function."""

    settings: Settings
    rounds: int


async def run(plan: Plan, folder: pathlib.Path, report: Report) -> DirtyTracking:
    """Measure every function `plan.rounds` times; return the record, saved in `folder`.

    Raises SeussError when the node cannot be made; a sample that fails is recorded.
    """
    if plan.settings.memory_mib > MOST_MIB:
        raise SettingsError(
            f"{plan.settings.memory_mib} MiB are more than this experiment reads. "
            f"Give at most --memory {MOST_MIB}."
        )
    facts = await environment.collect(plan.settings)
    record = DirtyTracking(facts.to_json(), plan.rounds, host_pagemap.has_soft_dirty())
    report("taking the base", 0, 1)
    async with bench(plan.settings) as ready:
        steps = plan.rounds * len(FUNCTIONS)
        for step, (number, workload) in enumerate(itertools.product(range(plan.rounds), FUNCTIONS)):
            report(workload.name, step, steps)
            try:
                sample = await ready.measure(workload, number)
            except SeussError as error:
                sample = Sample(workload.name, number, f"{type(error).__name__}: {error.message}")
            record.samples.append(sample)
            record.save(folder)
    return record


@dataclass(frozen=True)
class Bench:
    """A captured node with a base snapshot; each sample is taken in a machine of its own.

    Args:
        hardware: what the machines run on.
        origin: the node as it was captured.
        base: the base snapshot's number inside the node.
        borrowed: the base snapshot's frames.
        image: frames of the kernel's image.
        soft_dirty: whether the host's kernel marks written pages.
    """

    hardware: Hardware
    origin: Origin
    base: int
    borrowed: Frames
    image: Frames
    soft_dirty: bool

    async def measure(self, workload: Workload, number: int) -> Sample:
        """Import a function in a restored node and look at what that wrote, in all ways.

        Raises SeussError when the machine or the function fails.
        """
        async with self.origin.machine(self.hardware, paused=True) as machine:
            await prepare(machine, self.origin)
            await complete(machine, self.origin.tail())
            held = HeldCapture(machine, self.origin)
            mux = Multiplexer(machine, lambda context, reason: None, lambda context: None)
            try:
                return await self._measure(machine, held, mux, workload, number)
            finally:
                await mux.close()
                held.close()

    async def _measure(
        self,
        machine: Machine,
        held: HeldCapture,
        mux: Multiplexer,
        workload: Workload,
        number: int,
    ) -> Sample:
        times: dict[str, float] = {}
        with _timed(times, "bitmap arm"):
            await held.arm()
        if held.flaw is not None:
            raise CaptureError(f"QEMU's bitmap cannot be had: {held.flaw}. Give more --memory.")
        total = self.hardware.memory // PAGE_SIZE
        before = host_pagemap.copied(host_pagemap.read(machine.pid, total))
        if self.soft_dirty:
            host_pagemap.clear_soft_dirty(machine.pid)
        await resume(machine)
        seed = sync_payload(time.time_ns(), GENERATION + number, os.urandom(SEED_SIZE))
        mux.notify(Frame(MessageType.SYNC, seed))
        context = await self._load(machine, mux, workload.function())
        root = await _stop_idle(machine)

        sets: dict[str, Frames] = {}
        with _timed(times, PAGEMAP):
            entries = host_pagemap.read(machine.pid, total)
            copied = np.flatnonzero(host_pagemap.copied(entries) & ~before)
        sets[PAGEMAP] = frozenset(copied.tolist())
        if self.soft_dirty:
            with _timed(times, SOFT):
                entries = host_pagemap.read(machine.pid, total)
                marked = np.flatnonzero(entries & host_pagemap.SOFT_DIRTY)
            sets[SOFT] = frozenset(marked.tolist())
        with _timed(times, BYTES):
            memory = await memory_of(machine)
            # By words: an eighth of the comparisons.
            words, original = memory.view(np.uint64), self._original().view(np.uint64)
            changed = np.flatnonzero((words != original).any(axis=1))
        sets[BYTES] = frozenset(changed.tolist())
        with _timed(times, BITMAP):
            await held.collect()
        end = min(total, hold_page(self.origin, margin()) or 0)
        sets[BITMAP] = frozenset(held.sent[held.sent < end].tolist())
        await resume(machine)

        snapshot, times[WALK] = await self._capture(machine, mux, context)
        with _timed(times, "export"):
            walked = await self._export(machine, mux, snapshot)
        again = await self._load(machine, mux, workload.variant("again"))
        # The first capture found an idle context too.
        await asyncio.sleep(SETTLED_S)
        _, times["walk again"] = await self._capture(machine, mux, again)

        tree = self._tree(words, root, sets[BYTES])
        mapped = dict(zip(tree.numbers.tolist(), tree.frames.tolist(), strict=True))
        # A page of zeroes has no frame of its own in the answer; here it has.
        own = {page: frame for page, frame in walked.items() if frame != ZERO_FRAME}
        sets[WALK] = frozenset(own.values())
        kernel = dirty_sets.walk(words, root, dirty_sets.KERNEL_SLOTS)
        return Sample(
            workload.name,
            number,
            sets={way: to_runs(frames) for way, frames in sets.items()},
            # What the image holds is never a context's: files of the program, the clock's page.
            mapped=to_runs(set(mapped.values()) - self.image),
            lent=to_runs(sets[BYTES] & self.image & set(mapped.values())),
            tables=to_runs(tree.tables),
            kernel=to_runs(self.image | set(kernel.frames.tolist()) | kernel.tables - {root}),
            harmed=to_runs(sets[BYTES] & self.borrowed),
            strange=sum(mapped.get(page) != frame for page, frame in own.items()),
            copied_before=int(before.sum()),
            times_ms=times,
        )

    async def _load(self, machine: Machine, mux: Multiplexer, function: Function) -> int:
        reply = await mux.begin(
            *(MessageType.LOAD, MessageType.LOADED),
            context=SNAPSHOT | self.base,
            payload=function.load_payload,
            limit_s=LIMIT_S,
            deadline_s=LIMIT_S,
        )
        _answer(machine, f"import {function.name}", reply.answer)
        return reply.context

    async def _capture(self, machine: Machine, mux: Multiplexer, context: int) -> tuple[int, float]:
        """Capture a context; return the snapshot and the milliseconds by the guest's clock."""
        reply = await mux.begin(
            *(MessageType.CAPTURE, MessageType.CAPTURED), context=context, deadline_s=LIMIT_S
        )
        told = _answer(machine, "capture the context", reply.answer).json()
        return int(told["snapshot"]), int(told["ns"]) / 1e6

    async def _export(self, machine: Machine, mux: Multiplexer, snapshot: int) -> dict[int, int]:
        """Return the snapshot's own pages: virtual page number to frame."""
        reply = await mux.begin(
            *(MessageType.EXPORT, MessageType.EXPORTED),
            context=SNAPSHOT | snapshot,
            deadline_s=LIMIT_S,
        )
        return own_pages(_answer(machine, "export the snapshot", reply.answer).payload)

    def _original(self) -> Memory:
        return self.origin.ram.whole()

    def _tree(self, words: dirty_sets.Entries, root: int, changed: Frames) -> dirty_sets.Walk:
        """Return what the new context maps: its root is the one that was written since."""
        new = [frame for frame in dirty_sets.roots(words, root) if frame in changed]
        if len(new) != 1:
            raise CaptureError(
                f"{len(new)} new address spaces lie in memory where one was expected. "
                "Check that the image fits this checkout: make image."
            )
        return dirty_sets.walk(words, new[0], dirty_sets.USER_SLOTS)


@contextlib.asynccontextmanager
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """Boot a node, take a base snapshot in it, and capture it whole. Raises SeussError."""
    chosen = await accelerator.choose(
        settings.accelerator, settings.image.with_name("accelerator-probe.elf")
    )
    hardware = Hardware(chosen, settings.machine, settings.memory_mib)
    async with UcNode(hardware, settings.image) as node:
        context = await node.boot()
        if settings.ao is not Anticipation.NONE:
            await node.optimise(context, settings.ao)
        for _ in range(REHEARSALS):
            _answer(
                node.machine,
                "rehearse",
                (await node.load(context, rehearsal("python"), 60.0)).answer,
            )
            await node.unload(context)
        base = (await node.capture(context)).snapshot
        await node.end(context)
        await _rehearse(node, base)
        borrowed = own_pages(await node.export(base)).values()
        await asyncio.sleep(SETTLED_S)
        captured = await capture_full(node.machine)
    image = await asyncio.to_thread(settings.image.read_bytes)
    with Origin(captured.blocks, captured.pages, captured.state) as origin:
        yield Bench(
            hardware,
            origin,
            base,
            frozenset(borrowed) - {ZERO_FRAME},
            image_frames(image),
            host_pagemap.has_soft_dirty(),
        )


async def _rehearse(node: UcNode, base: int) -> None:
    """Take and drop a function's snapshot once, so that the kernel's heap has grown for it."""
    loaded = await node.load(SNAPSHOT | base, rehearsal("python"), LIMIT_S)
    _answer(node.machine, "rehearse", loaded.answer)
    snapshot = (await node.capture(loaded.context)).snapshot
    await node.end(loaded.context)
    await node.evict(snapshot)


def own_pages(exported: bytes) -> dict[int, int]:
    """Read EXPORTED: virtual page number to frame, `ZERO_FRAME` for a page of zeroes.

    Raises CaptureError when it makes no sense.
    """
    _, records = split(exported)
    assert records.dtype == RECORD
    return dict(zip(records["page"].tolist(), records["frame"].tolist(), strict=True))


def image_frames(image: bytes) -> Frames:
    """Return the frames that a guest image, a 64-bit ELF, is loaded to."""
    (table,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    frames: set[int] = set()
    for index in range(count):
        kind, _, _, _, address, _, length, _ = struct.unpack_from(
            "<IIQQQQQQ", image, table + index * size
        )
        if kind == 1:
            frames.update(range(address // PAGE_SIZE, -(-(address + length) // PAGE_SIZE)))
    return frozenset(frames)


async def _stop_idle(machine: Machine) -> int:
    """Stop the guest while its processor has nothing to do; return the page-table root in use."""
    for _ in range(MOST_STOPS):
        await asyncio.sleep(SETTLED_S)
        await machine.execute("stop")
        told = str(await machine.execute("human-monitor-command", command_line="info registers"))
        root, halted = re.search(r"CR3=([0-9a-f]+)", told), re.search(r"HLT=(\d)", told)
        if root is None or halted is None:
            raise machine.error("QEMU names no CR3 and HLT")
        if halted[1] == "1":
            return int(root[1], 16) // PAGE_SIZE
        await resume(machine)
    raise machine.error(f"The guest was still at work after {MOST_STOPS * SETTLED_S:g} s")


@contextlib.contextmanager
def _timed(times: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    times[name] = (time.perf_counter() - started) * 1000


def _answer(machine: Machine, what: str, answer: Frame | InvocationError) -> Frame:
    if isinstance(answer, InvocationError):
        raise machine.error(f"The node could not {what}: {answer.kind}: {answer.message}")
    return answer
