"""The platform: named functions invoked under its policies, each invocation logged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from orchestrator.calls import Calls
from orchestrator.errors import ImageError, PoolClosedError
from orchestrator.image import image_digest
from orchestrator.invocation import Invocation, InvocationError, Phases
from orchestrator.paths import Path
from orchestrator.platform.admission import Admission, Turn
from orchestrator.platform.budget import Budget, Uses
from orchestrator.platform.database import Database
from orchestrator.platform.dispatchers import Dispatchers, Make, make_dispatcher
from orchestrator.platform.log import Entry, Log
from orchestrator.platform.policies import Policies
from orchestrator.platform.registry import ISOLATIONS, Deployed, Registry
from orchestrator.runtimes import RUNTIMES
from orchestrator.settings import Isolation, Settings, checked_timeout
from snapshot_store import SeussError, SnapshotStore

logger = logging.getLogger(__name__)

FLUSH_S: Final = 0.25
"""How long a log entry may wait for company before it is written."""
BUDGET_S: Final = 2.0
"""How often the snapshots' budget is looked after."""
MOST_UNWRITTEN: Final = 4096
"""Log entries that may wait for the disk; the oldest are lost beyond that."""

Listener = Callable[[Entry], None]


@dataclass(frozen=True)
class Outcome:
    """How an invocation went, as the log has it, and how long it waited to begin."""

    entry: Entry
    waited_ms: float
    dispatched_ms: float
    """From the call of the dispatcher to its answer, whatever it counts as the latency."""

    @property
    def id(self) -> str:
        """The invocation's id."""
        return self.entry.id

    @property
    def invocation(self) -> Invocation:
        """What came of it."""
        return self.entry.invocation


class Platform:
    """Runs deployed functions; an async context manager that leaves no machine behind.

    Leaving it ends the invocations that run or wait, with PoolClosedError for their callers.
    One invocation's failure touches no other: what a function does is in its own outcome, and a
    platform's failure is raised to its caller alone.

    Args:
        settings: image, store, hardware; isolation and memory are each function's.
        policies: what is granted.
        memory_mib: memory of a machine for each isolation, where a function asks for none.
        make: makes the dispatchers.
        listener: is called with each invocation that ended.
    """

    def __init__(
        self,
        settings: Settings,
        policies: Policies | None = None,
        *,
        memory_mib: Mapping[Isolation, int] | None = None,
        make: Make = make_dispatcher,
        listener: Listener | None = None,
    ) -> None:
        self.settings = settings
        self.policies = policies or Policies()
        self.registry: Registry
        self.log: Log
        self.store: SnapshotStore
        self.dispatchers = Dispatchers(settings, memory_mib, make)
        self._admissions: dict[Isolation, Admission] = {}
        self._listener = listener
        self._unwritten: deque[Entry] = deque(maxlen=MOST_UNWRITTEN)
        self._writing = asyncio.Lock()
        self._uses: Uses
        self._calls = Calls("platform")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            database = stack.enter_context(Database(self.settings.store))
            self.registry, self.log = Registry(database), Log(database)
            self.store = stack.enter_context(SnapshotStore(self.settings.store))
            self._uses = Uses(database)
            stack.push_async_callback(self.write_log)
            stack.push_async_callback(
                self._keep_budget_once
            )  # the last captures are stored by then
            await stack.enter_async_context(self.dispatchers)
            for chore in (self._keep_log_written(), self._keep_budget()):
                stack.push_async_callback(_cancelled, asyncio.create_task(chore))
            stack.push_async_callback(self._calls.end)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def admission(self, isolation: Isolation) -> Admission:
        """Return who runs and waits of an isolation."""
        if isolation not in self._admissions:
            self._admissions[isolation] = Admission(
                self.policies.concurrency(isolation), self.policies.queue
            )
        return self._admissions[isolation]

    def fill(self) -> dict[Isolation, dict[str, int]]:
        """Return how many invocations run and wait, by isolation."""
        return {
            isolation: {
                "running": self.admission(isolation).running,
                "waiting": self.admission(isolation).waiting,
            }
            for isolation in ISOLATIONS
        }

    async def invoke(
        self,
        name: str,
        args: Mapping[str, Any],
        path: Path = Path.AUTO,
        timeout_s: float | None = None,
    ) -> Outcome:
        """Invoke a function and wait for its outcome; cancelling it ends the invocation.

        Args:
            name: a deployed function's.
            args: its arguments.
            path: what to start from.
            timeout_s: limit of the import and of the run; None takes the function's own.

        Raises:
            UnknownFunctionError: none of that name is deployed.
            BusyError: too many run and wait.
            SettingsError: a limit that cannot be.
            PoolClosedError: the platform was left before it ended.
            SeussError: the platform failed.
        """
        if timeout_s is not None:
            checked_timeout(timeout_s)  # before it waits, or starts a machine
        deployed = self.registry.get(name)
        turn = self.admission(deployed.deployment.isolation).claim()
        try:
            return await self._calls.run(
                self._run(uuid.uuid4().hex, deployed, args, path, timeout_s, turn)
            )
        finally:
            turn.release()  # also if it never began

    def begin(
        self, name: str, args: Mapping[str, Any], ended: Callable[[], None] = lambda: None
    ) -> str:
        """Invoke a function and wait for nothing: return the id under which the log will have it.

        `ended` is called once the invocation is over, not if this raises: UnknownFunctionError,
        BusyError, PoolClosedError or DatabaseError.
        """
        deployed = self.registry.get(name)
        turn = self.admission(deployed.deployment.isolation).claim()
        id = uuid.uuid4().hex
        try:
            task = self._calls.begin(self._run(id, deployed, args, Path.AUTO, None, turn))
        except PoolClosedError:
            turn.release()
            raise
        task.add_done_callback(lambda _: turn.release())  # also if it never began
        task.add_done_callback(self._ended)
        task.add_done_callback(lambda _: ended())
        return id

    async def write_log(self) -> None:
        """Have the log hold all that ended so far."""
        async with self._writing:
            entries = list(self._unwritten)
            self._unwritten.clear()
            if not entries:
                return
            try:
                await asyncio.to_thread(self.log.append, entries)
            except SeussError as error:
                logger.warning("%d invocations are not logged: %s", len(entries), error)
            except Exception:  # whatever it is, those that come next are logged
                logger.exception("%d invocations are not logged", len(entries))

    async def keep_budget(self) -> tuple[str, ...]:
        """Delete the snapshots that are beyond the budget; return their ids. Raises SeussError."""
        await asyncio.to_thread(self._uses.write)
        budget = Budget(self.store, self._uses, self.policies.snapshot_budget, self._images)
        return await asyncio.to_thread(budget.keep)

    def _images(self) -> frozenset[str] | None:
        """Return the sums of all runtimes' images; None where the own cannot be read."""
        found = set()
        for runtime in RUNTIMES:
            settings = self.settings.for_runtime(runtime)
            try:
                found.add(image_digest(settings.image))
            except ImageError:
                if runtime == self.settings.runtime:
                    # Nothing was started, so no base is known to be another image's.
                    return None
        return frozenset(found)

    async def _run(
        self,
        id: str,
        deployed: Deployed,
        args: Mapping[str, Any],
        path: Path,
        timeout_s: float | None,
        turn: Turn,
    ) -> Outcome:
        came, asked = time.time(), time.perf_counter()
        try:
            await turn.wait()
            deployment = deployed.deployment
            dispatcher = await self.dispatchers.of(deployment)
            limit = deployment.timeout_s if timeout_s is None else timeout_s
            called = time.perf_counter()
            invocation = await dispatcher.invoke(deployment.function, args, path, limit)
            ended = time.perf_counter()
        except (SeussError, asyncio.CancelledError) as error:
            took = (time.perf_counter() - asked) * 1000
            self._note(Entry.of(id, came, deployed.entry, _unanswered(path, took, error)))
            raise
        finally:
            turn.release()
        entry = Entry.of(id, came, deployed.entry, invocation)
        self._note(entry)
        return Outcome(entry, (called - asked) * 1000, (ended - called) * 1000)

    def _note(self, entry: Entry) -> None:
        self._unwritten.append(entry)
        if entry.invocation.snapshot is not None:
            self._uses.note(entry.invocation.snapshot)
        if self._listener is not None:
            self._listener(entry)

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("an invocation that nobody waits for failed: %s", error)

    async def _keep_log_written(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.write_log()

    async def _keep_budget(self) -> None:
        while True:
            # Captures are stored after their answers, and by other processes too.
            await asyncio.sleep(BUDGET_S)
            await self._keep_budget_once()

    async def _keep_budget_once(self) -> None:
        try:
            for gone in await self.keep_budget():
                logger.info("snapshot %s went: the budget is spent", gone)
        except SeussError as error:
            logger.warning("the snapshots' budget is not kept: %s", error)
        except Exception:  # whatever it is, the next time may be better
            logger.exception("the snapshots' budget is not kept")


def _unanswered(path: Path, took_ms: float, error: BaseException) -> Invocation:
    """Return what the log has of an invocation that gave no outcome."""
    if isinstance(error, SeussError):
        told = InvocationError("platform", error.message, error.log_tail or None)
    else:
        told = InvocationError("cancelled", "The caller went away, or the platform ended.")
    return Invocation(path, took_ms, Phases(), accelerator="none", error=told)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
