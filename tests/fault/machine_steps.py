"""QEMU killed at a chosen step, or at a chosen moment, of what the host does with it.

A step is a call by which the host talks to machines: a QMP command, bytes to or from a console or a
migration stream. The machine is dead when the step begins, and the host has not heard of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

from orchestrator.invocation import Invocation
from orchestrator.machines.console import Console
from orchestrator.machines.machine import Machine
from snapshot_store import SeussError

STEPS: tuple[tuple[type, str], ...] = (
    (Machine, "execute"),
    (Console, "receive"),
    (BaseSelectorEventLoop, "sock_sendall"),
    (BaseSelectorEventLoop, "sock_recv"),
)
MOST_STEPS = 200
Outcome = Invocation | SeussError


class Killer:
    """Counts steps, and kills the machines that run at the one chosen.

    Args:
        step: 0 is the first; None only counts.
    """

    def __init__(self, step: int | None = None) -> None:
        self.steps: list[str] = []
        """The calls so far; a row of reads of one stream is one step."""
        self.struck = False
        self._step = step
        self._stopped = False
        self._machines: list[Machine] = []

    def watch(self, machine: Machine) -> None:
        """Have this machine die with the others."""
        self._machines.append(machine)

    def stop(self) -> None:
        """Count no more, and kill nothing."""
        self._stopped = True

    def count(self, name: str) -> None:
        """Take a step."""
        if self._stopped or not self._machines:
            return
        if name == "sock_recv" and self.steps[-1:] == [name]:
            return
        if len(self.steps) == self._step:
            self.strike()
        self.steps.append(name)

    def strike(self) -> None:
        """Kill every machine that runs, and wait until it is dead."""
        for machine in self._machines:
            if machine.status is None:
                self.struck = True
                kill(machine.pid)


def kill(pid: int) -> None:
    """Kill a child and wait until it is dead, but leave it to its owner to hear of that."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@contextmanager
def killing(step: int | None = None) -> Iterator[Killer]:
    """Kill the machines started in this context at a step of what is done in it."""
    killer = Killer(step)

    def counted(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(call)
        async def stepped(*args: Any, **options: Any) -> Any:
            killer.count(name)
            return await call(*args, **options)

        return stepped

    start = Machine.start

    async def noted(machine: Machine) -> None:
        await start(machine)
        killer.watch(machine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "start", noted)
        for owner, name in STEPS:
            patch.setattr(owner, name, counted(getattr(owner, name), name))
        yield killer


async def outcome_of(work: Awaitable[Invocation]) -> Outcome:
    """Await an invocation; return it, or the error that the platform raised. Nothing else may be
    raised."""
    try:
        return await work
    except SeussError as error:
        return error


async def kill_at_every_step(
    act: Callable[[Killer], Awaitable[Invocation]],
    inspect: Callable[[Outcome, bool], Awaitable[None]],
) -> list[str]:
    """Kill the machines at the first step of `act`, then anew at its second, and so on to its end.

    Args:
        act: what is disturbed.
        inspect: looks at what came of it; its second argument tells whether a machine was killed.

    Returns:
        The steps of the act that was left alone.
    """
    for step in range(MOST_STEPS):
        with killing(step) as killer:
            outcome = await outcome_of(act(killer))
        await inspect(outcome, killer.struck)
        if len(killer.steps) <= step:
            return killer.steps
    raise AssertionError(f"more than {MOST_STEPS} steps: {killer.steps}")


async def kill_after(seconds: float, act: Callable[[Killer], Awaitable[Invocation]]) -> Outcome:
    """Kill the machines so long after `act` was begun; return what came of it."""

    async def strike(killer: Killer) -> None:
        await asyncio.sleep(seconds)
        killer.strike()

    with killing() as killer:
        striking = asyncio.create_task(strike(killer))
        try:
            return await outcome_of(act(killer))
        finally:
            striking.cancel()
            await asyncio.wait((striking,))


def check_told(outcome: Outcome) -> None:
    """The caller hears that QEMU was killed, whichever way errors come."""
    if isinstance(outcome, Invocation):
        assert outcome.error is not None
        assert outcome.error.kind == "node-died"
        assert "ended before it answered (QEMU was ended by SIGKILL)" in outcome.error.message
    else:
        assert "QEMU was ended by SIGKILL" in outcome.message
