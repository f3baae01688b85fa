"""The first of several calls makes what the others wait for."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.turns import Turns


async def test_others_wait_until_it_is_made() -> None:
    turns, made = Turns(), []

    async def call(name: str) -> None:
        under_way = turns.under_way(name)
        if under_way is not None:
            await under_way.wait()
            assert name in made
            return
        with turns.taken(name):
            await asyncio.sleep(0.01)
            made.append(name)

    await asyncio.gather(*(call(name) for name in "aabab"))
    assert made == ["a", "b"] and turns.under_way("a") is None


async def test_a_failure_ends_the_turn_too() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="failed"), turns.taken("a"):
        waiting = turns.under_way("a")
        raise ValueError("failed")
    assert waiting is not None and waiting.is_set() and turns.under_way("a") is None
