"""Capture and restore against memory as QEMU itself writes it out."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import numpy as np
import pytest

from orchestrator.errors import RestoreError
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.guest_memory import memory_of
from orchestrator.machines.machine import Machine
from orchestrator.vm import capture
from orchestrator.vm.capture import Captured, HeldCapture, capture_full, resume
from orchestrator.vm.migration_stream import split_state
from orchestrator.vm.restore import NO_PAGES, Origin, complete, prepare
from snapshot_store.pageset import PAGE_SIZE, PageSet
from tests.integration.guests import holdings, obey

FIRST = 1024
"""First page the guest is told to use: at 4 MiB, above its own image."""


async def restore(
    machine: Machine, origin: Origin, delta: PageSet = NO_PAGES, state: bytes | None = None
) -> None:
    """Send a machine the whole stream at once."""
    await prepare(machine, origin)
    await complete(machine, origin.tail(delta, state))


@pytest.fixture
async def base(
    hardware: Hardware, test_guest: pathlib.Path, tmp_path: pathlib.Path
) -> AsyncIterator[Captured]:
    """A guest that has filled 300 pages and obeyed two commands, captured whole."""
    async with Machine(hardware, kernel=test_guest) as machine:
        await obey(machine, "f", 1, FIRST, 300)
        _, obeyed = await obey(machine, "s", 0, FIRST, 300)
        assert obeyed == 2
        captured = await capture_full(machine)
        truth = await memory_of(machine)
        content = np.flatnonzero(truth.any(axis=1))
        guest = captured.pages.numbers < len(truth)
        assert captured.fallback is None
        assert captured.pages.numbers[guest].tolist() == content.tolist()
        assert (captured.pages.data[guest] == truth[content]).all()
        # The captured machine itself goes on as if nothing had been.
        await resume(machine)
        assert (await obey(machine, "p"))[1] == 3
    yield captured


@pytest.fixture
async def origin(base: Captured) -> AsyncIterator[Origin]:
    with Origin(base.blocks, base.pages, base.state) as ready:
        yield ready


async def test_restored_guest_goes_on_where_it_was(origin: Origin, hardware: Hardware) -> None:
    for _ in range(2):
        async with origin.machine(hardware) as machine:
            await restore(machine, origin)
            first, obeyed = await obey(machine, "s", 0, FIRST, 300)
            assert obeyed == 3
            await obey(machine, "w", 200, FIRST, 300)
            assert (await obey(machine, "s", 0, FIRST, 300))[0] != first
            # Neither clone sees what the other writes: the next turn starts the same.
            assert (await obey(machine, "p"))[1] == 6


async def test_delta_is_the_byte_difference(
    origin: Origin, hardware: Hardware, tmp_path: pathlib.Path
) -> None:
    async with origin.machine(hardware, paused=True) as machine:
        await restore(machine, origin)
        before = await memory_of(machine)
        numbers = np.arange(len(before), dtype=np.uint64)
        assert (origin.contents(numbers) == before).all()
        held = HeldCapture(machine, origin)
        await held.arm()
        assert held.flaw is None
        await resume(machine)
        await obey(machine, "f", 7, FIRST + 100, 50)  # pages that had content
        await obey(machine, "w", 9, 9000, 120)  # pages that were zero
        await obey(machine, "f", 1, FIRST, 20)  # written, but as they were
        last = len(before) - 3
        await obey(machine, "w", 5, last, 3)  # the end of memory, where the first pass stopped
        captured = await held.collect()
        after = await memory_of(machine)
        differing = np.flatnonzero((before != after).any(axis=1))
        assert set(range(9000, 9120)) | {last, last + 1, last + 2} <= set(differing.tolist())
        assert captured.fallback is None
        assert captured.pages.numbers.tolist() == differing.tolist()
        assert (captured.pages.data == after[differing]).all()
        await resume(machine)
        goes_on = await obey(machine, "s", 0, FIRST, 300), await obey(machine, "s", 0, 9000, 120)
    async with origin.machine(hardware, paused=True) as machine:
        await restore(machine, origin, captured.pages, captured.state)
        assert (await memory_of(machine) == after).all()
    async with origin.machine(hardware) as machine:
        await restore(machine, origin, captured.pages, captured.state)
        again = await obey(machine, "s", 0, FIRST, 300), await obey(machine, "s", 0, 9000, 120)
    assert again == goes_on


async def test_page_that_became_zero_is_in_the_delta(origin: Origin, hardware: Hardware) -> None:
    async with origin.machine(hardware, paused=True) as machine:
        await restore(machine, origin)
        held = HeldCapture(machine, origin)
        await held.arm()
        await resume(machine)
        await obey(machine, "z", 0, FIRST + 10, 5)
        captured = await held.collect()
    zero = captured.pages.numbers[captured.pages.zero].tolist()
    assert zero == list(range(FIRST + 10, FIRST + 15))
    async with origin.machine(hardware) as machine:
        await restore(machine, origin, captured.pages, captured.state)
        assert (await obey(machine, "s", 0, FIRST + 10, 5))[0] == 0


async def test_without_content_to_hold_back_the_delta_is_as_exact(
    origin: Origin, hardware: Hardware, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "margin", lambda: 1 << 30)
    async with origin.machine(hardware, paused=True) as machine:
        await restore(machine, origin)
        held = HeldCapture(machine, origin)
        await held.arm()
        assert held.flaw is not None and "too little content" in held.flaw
        await resume(machine)
        await obey(machine, "w", 9, 9000, 3)
        captured = await held.collect()
        after = await memory_of(machine)
    assert captured.fallback == held.flaw
    before = origin.contents(np.arange(len(after), dtype=np.uint64))
    differing = np.flatnonzero((before != after).any(axis=1))
    assert {9000, 9001, 9002} <= set(differing.tolist())
    assert captured.pages.numbers.tolist() == differing.tolist()
    assert (captured.pages.data == after[differing]).all()


async def test_state_that_qemu_refuses_is_an_error_with_its_words(
    origin: Origin, hardware: Hardware
) -> None:
    before = holdings()
    parts = split_state(origin.state)
    broken = parts.preamble + parts.devices.replace(b"\x05timer", b"\x05tumor")
    with pytest.raises(RestoreError, match="could not be restored") as caught:
        async with origin.machine(hardware) as machine:
            await restore(machine, origin, NO_PAGES, broken)
    assert "tumor" in caught.value.log_tail
    assert holdings() == before


async def test_fifty_restores_leave_nothing_behind(base: Captured, hardware: Hardware) -> None:
    before = holdings()
    with Origin(base.blocks, base.pages, base.state) as origin:
        held = holdings()
        for turn in range(50):
            async with origin.machine(hardware) as machine:
                await prepare(machine, origin)
                await complete(machine, origin.tail())
                assert (await obey(machine, "w", turn, FIRST, 300))[1] == 3
            assert holdings() == held
    assert holdings() == before
    assert base.pages.data.shape[1] == PAGE_SIZE
