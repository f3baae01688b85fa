"""The life of a worker: started, fed, watched, replaced when it ends.

Requests and answers live in the channel, so a worker that dies takes none of them along: its
successor answers the one that it had in hand with `WORKER_DIED`, and serves the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import pathlib
import signal
import threading
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from types import TracebackType
from typing import Self

from orchestrator.errors import MicroError
from orchestrator.micro.channel import Channel, Completion, Kind, Sizes, State
from orchestrator.micro.settings import MicroSettings
from orchestrator.micro.toolchain import Toolchain

logger = logging.getLogger(__name__)

START_LIMIT_S = 20.0
GRACE_S = 2.0
"""How much longer than its budget a call may take before its worker is killed."""
STUCK = "no answer in time"
LOOK_S = 0.1
SHORT_LIFE_S = 1.0
MOST_FRUITLESS = 3
"""Workers in a row that may die young, or be killed for it, before they have answered anything."""


class Worker:
    """A worker process on one core, and its successors. An async context manager."""

    def __init__(self, toolchain: Toolchain, settings: MicroSettings, core: int) -> None:
        self._toolchain = toolchain
        self._settings = settings
        self._core = core
        self._channel = Channel(Sizes())
        self._process: asyncio.subprocess.Process
        self._answers: dict[int, asyncio.Future[Completion]] = {}
        self._budgets: dict[int, float] = {}
        self._room = asyncio.Semaphore(self._channel.sizes.slots)
        self._closing = False
        self._broken: str | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reader: threading.Thread | None = None
        self._numbers: dict[pathlib.Path, int] = {}
        self.lives = 0
        """Processes that have been started: what one has loaded, the next has not."""
        self.deaths: Counter[str] = Counter()
        """Workers that ended by themselves or were killed, by why."""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            self._channel.close()
            raise
        loop = asyncio.get_running_loop()
        self._reader = threading.Thread(
            target=self._read, args=(loop,), name=f"micro-{self._core}", daemon=True
        )
        self._reader.start()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._kill()
        await self._process.wait()
        self._give_up("The worker was ended while it served a request.")
        if self._reader is not None:
            self._channel.interrupt()
            await asyncio.to_thread(self._reader.join)
        self._channel.close()

    @property
    def pid(self) -> int:
        """The process that serves now."""
        return self._process.pid

    @property
    def broken(self) -> bool:
        """Whether it has given up: every request is a MicroError."""
        return self._broken is not None

    @property
    def under_way(self) -> int:
        """Requests not answered yet."""
        return len(self._answers)

    @property
    def most_payload(self) -> int:
        """Bytes of arguments, and of a result, at most."""
        return self._channel.sizes.buffer

    def number(self, name: str, path: pathlib.Path) -> int:
        """Return the number of a library in the worker's table, registering it if it is new."""
        if path not in self._numbers:
            self._numbers[path] = self._channel.register(name, path)
        return self._numbers[path]

    async def request(
        self, kind: Kind, function: int, payload: bytes = b"", budget_s: float = 0.0
    ) -> Completion:
        """Send a request and wait for its answer. MicroError when no worker can be had."""
        await self._room.acquire()
        try:
            if self._broken is not None:
                raise MicroError(self._broken)
            # Of a budget at least 1 ns: 0 is none.
            number = self._channel.send(kind, function, payload, math.ceil(budget_s * 1e9))
        except BaseException:
            self._room.release()
            raise
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        # The slot is taken until the answer is there, even if nobody waits for it any more.
        answer.add_done_callback(lambda _: self._room.release())
        self._answers[number] = answer
        self._budgets[number] = budget_s or START_LIMIT_S
        return await asyncio.shield(answer)

    async def _start(self) -> None:
        settings = self._settings
        command = [
            str(self._toolchain.worker),
            *("--channel", str(self._channel.descriptor), "--core", str(self._core)),
            *("--mechanism", settings.mechanism),
            *("--quantum-ns", str(int(settings.quantum_us * 1000))),
            *("--spin-us", str(settings.spin_us), "--arena-mib", str(settings.arena_mib)),
            *("--stack-kib", str(settings.stack_kib)),
        ]
        self._channel.expect_successor()
        self.lives += 1
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                pass_fds=(self._channel.descriptor,),
            )
        except OSError as error:
            raise MicroError(
                f"{command[0]} cannot be started ({error.strerror}). Run `make micro`.",
                command=command,
            ) from error
        # The worker closes its stderr when it is set up: the end of the stream, and not the clock,
        # says that it has come to serving or to its end.
        assert self._process.stderr is not None
        try:
            async with asyncio.timeout(START_LIMIT_S):
                said = await self._process.stderr.read(4096)
                # The state is a word of shared memory: there is no event to wait for.
                while self._starting():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        except TimeoutError:
            said = b"it did not come to serving"
        if self._channel.state != State.SERVING:
            self._kill()
            await self._process.wait()
            raise MicroError(
                f"A worker on core {self._core} cannot be started.",
                command=command,
                log_tail=said.decode("utf-8", "replace"),
            )

    def _starting(self) -> bool:
        return self._channel.state != State.SERVING and self._process.returncode is None

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _watch(self) -> None:
        """Replace workers that end; kill those that are stuck."""
        fruitless, answered = 0, 0
        while True:
            started = time.monotonic()
            stuck = await self._until_end()
            why = STUCK if stuck else self._epitaph()
            self.deaths[why] += 1
            logger.warning("worker on core %d ended: %s; starting another", self._core, why)
            short = time.monotonic() - started < SHORT_LIFE_S
            vain = short or stuck
            fruitless = fruitless + 1 if vain and self._channel.answered == answered else 0
            answered = self._channel.answered
            if fruitless > MOST_FRUITLESS:
                self._give_up(
                    f"Workers on core {self._core} end again and again: {why}. If the quantum of "
                    f"{self._settings.quantum_us:g} us leaves them no time, choose a longer one."
                )
                return
            try:
                await self._start()
            except MicroError as error:
                self._give_up(str(error))
                return

    async def _until_end(self) -> bool:
        """Return when the process has ended; kill it if a call is far over its budget, and return
        whether that was so.

        The worker's own word is not asked: one that was stopped or is deaf must not keep its queue.
        """
        ending = asyncio.create_task(self._process.wait())
        seen, looks, stuck = None, 0, False
        try:
            while not ending.done():
                await asyncio.wait([ending], timeout=LOOK_S)
                oldest = self._channel.oldest
                looks = looks + 1 if oldest is not None and oldest == seen else 0
                seen = oldest
                limit = START_LIMIT_S if oldest is None else self._budgets.get(oldest, 0.0)
                if looks * LOOK_S > limit + GRACE_S:
                    stuck = True
                    self._kill()
        finally:
            ending.cancel()
        return stuck

    def _epitaph(self) -> str:
        status = self._process.returncode or 0
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return self._channel.last_words() or f"status {status}"

    def _give_up(self, why: str) -> None:
        """Answer all requests, those that come too, with a MicroError."""
        self._broken = why
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(MicroError(why))
                answer.exception()  # Looked at: nobody may be waiting any more.
        self._answers.clear()
        self._budgets.clear()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Thread: hand answers over to the event loop."""
        while not self._closing:
            completion = self._channel.poll()
            if completion is None:
                self._channel.wait(LOOK_S)
                continue
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits.
                loop.call_soon_threadsafe(self._deliver, completion)

    def _deliver(self, completion: Completion) -> None:
        self._budgets.pop(completion.number, None)
        answer = self._answers.pop(completion.number, None)
        if answer is not None and not answer.done():
            answer.set_result(completion)
