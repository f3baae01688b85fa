"""Who runs, who waits, who is refused."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BusyError
from orchestrator.platform.admission import Admission, Turn


async def test_more_wait_and_still_more_are_refused() -> None:
    admission = Admission(concurrency=1, queue=1)
    first, second = admission.claim(), admission.claim()
    assert (admission.running, admission.waiting) == (1, 1)
    with pytest.raises(BusyError, match=r"1 invocations run and 1 wait.* Try again in 1 s") as told:
        admission.claim()
    assert told.value.retry_s == 1
    await first.wait()
    waiting = asyncio.create_task(second.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.release()
    first.release()
    await waiting
    second.release()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_one_that_gives_up_is_passed_over() -> None:
    admission = Admission(concurrency=1, queue=5)
    running, tired, patient = (admission.claim() for _ in range(3))
    waiting = asyncio.create_task(tired.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))
    tired.release()
    running.release()
    await patient.wait()
    patient.release()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_one_that_gives_up_as_its_turn_comes_passes_it_on() -> None:
    admission = Admission(concurrency=1, queue=5)
    running, tired, patient = (admission.claim() for _ in range(3))
    waiting = asyncio.create_task(tired.wait())
    await asyncio.sleep(0)
    running.release()
    waiting.cancel()
    await asyncio.wait((waiting,))
    tired.release()
    await patient.wait()
    patient.release()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_retry_follows_what_invocations_take() -> None:
    admission = Admission(concurrency=2, queue=1)
    for _ in range(100):
        admission.note(30.0)
    turns = [admission.claim() for _ in range(3)]
    with pytest.raises(BusyError) as told:
        admission.claim()
    assert 25 <= told.value.retry_s <= 30
    for turn in turns:
        turn.release()


@given(st.integers(1, 3), st.integers(0, 3), st.lists(st.integers(0, 3), max_size=40))
def test_never_more_than_may_and_none_forgotten(
    concurrency: int, queue: int, steps: list[int]
) -> None:
    async def play() -> None:
        admission = Admission(concurrency, queue)
        waiting: list[tuple[Turn, asyncio.Task[None]]] = []
        for step in steps:
            if step == 0 and waiting:
                waiting.pop(0)[0].release()
            elif step == 1 and waiting:
                turn, task = waiting.pop()
                task.cancel()
                await asyncio.wait((task,))
                turn.release()
            else:
                try:
                    turn = admission.claim()
                except BusyError:
                    assert len(waiting) == concurrency + queue
                else:
                    waiting.append((turn, asyncio.create_task(turn.wait())))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running = sum(task.done() for _, task in waiting)
            assert running == admission.running == min(len(waiting), concurrency)
            # First come, first served.
            assert all(task.done() for _, task in waiting[:running])

    asyncio.run(play())
