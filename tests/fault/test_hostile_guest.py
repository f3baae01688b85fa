"""A guest that lies about lengths or floods the channel, in a real machine (FrameGuest.cc)."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import pytest

from orchestrator.answers import OUTPUT_LIMIT
from orchestrator.anticipation import Anticipation
from orchestrator.function import Function
from orchestrator.settings import Settings
from orchestrator.vm import instance
from orchestrator.vm.dispatcher import VmDispatcher
from tests.fault.conftest import check_answer, check_store, function
from tests.integration.guests import resident

LIMIT_S = 0.3
GROWTH = 64 << 20
"""Bytes by which this process may grow while it is flooded."""


@pytest.fixture
async def dispatcher(
    small_guests: pathlib.Path, tmp_path: pathlib.Path, nothing_left: pathlib.Path
) -> AsyncIterator[VmDispatcher]:
    store = tmp_path / "store"
    async with VmDispatcher(
        Settings(
            image=small_guests / "frame-guest.elf",
            store=store,
            accelerator="tcg",
            memory_mib=64,
            pool_size=0,
            ao=Anticipation.NONE,
        )
    ) as running:
        yield running
    check_store(store)


@pytest.mark.parametrize(
    ("word", "kind", "words"),
    [
        ("length", "protocol", "has length 4294967295; at most 8388608 payload bytes"),
        ("short", "timeout", "gave no answer within 0.4 s"),
        ("logs", "timeout", "gave no answer within 0.4 s"),
        ("stream", "timeout", "gave no answer within 0.4 s"),
        ("strays", "timeout", "gave no answer within 0.4 s"),
    ],
)
async def test_lies_and_floods_spoil_only_their_own_answer(
    dispatcher: VmDispatcher, monkeypatch: pytest.MonkeyPatch, word: str, kind: str, words: str
) -> None:
    monkeypatch.setattr(instance, "GRACE_S", 0.1)
    before = resident()
    loading = await dispatcher.invoke(
        Function("hostile", "source", f"load-{word}".encode()), {}, timeout_s=LIMIT_S
    )
    running = await dispatcher.invoke(function(0), {"do": f"run-{word}"}, timeout_s=LIMIT_S)
    for answer in (loading, running):
        assert answer.error is not None
        assert answer.error.kind == kind and words in answer.error.message
        assert len(answer.stdout) <= OUTPUT_LIMIT
    assert running.stdout_truncated is (word == "stream")
    assert resident() < before + GROWTH
    check_answer(await dispatcher.invoke(function(0), {}), 0)
