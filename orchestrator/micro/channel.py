"""The dispatcher's side of the shared memory with one worker.

The layout is that of micro_worker/crates/channel/src/layout.rs; tests hold the two together. Each
word has one writer. Words are written and read whole (aligned, by single moves), and x86 keeps the
order of writes, which is all that the rings need; the one place that needs more is `_wake`.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Self

from orchestrator.errors import MicroError

MAGIC = int.from_bytes(b"MICRORNG", "little")
VERSION = 1
VERSION_AT, SLOTS_AT, BUFFER_AT, FUNCTIONS_AT, STATE_AT = 8, 12, 16, 20, 24
REQUEST_HEAD_AT, RESPONSE_HEAD_AT, TICKS_AT = 64, 128, 384
WORKER_SLEEPS_AT, DISPATCHER_SLEEPS_AT, FUNCTION_COUNT_AT = 192, 256, 320
LAST_WORDS_AT, LAST_WORDS_BYTES, HEADER_BYTES = 1024, 1020, 4096
REQUEST_BYTES = RESPONSE_BYTES = 64
NAME_BYTES, PATH_BYTES = 124, 380
FUNCTION_BYTES = 4 + NAME_BYTES + 4 + PATH_BYTES
PAGE = 4096

SYS_FUTEX = 202
FUTEX_WAIT, FUTEX_WAKE = 0, 1
ADD_SEALS, SEAL_SHRINK, SEAL_GROW = 1033, 2, 4

_libc = ctypes.CDLL(None, use_errno=True)


class Kind(IntEnum):
    """What a request asks for."""

    CALL = 0
    LOAD = 1
    UNLOAD = 2


class State(IntEnum):
    """Where a worker is in its life."""

    STARTING = 0
    SERVING = 1
    ENDED = 2


class Ending(IntEnum):
    """How a call ended; explained in micro_worker/crates/abi."""

    RETURNED = 0
    FAILED = 1
    PANICKED = 2
    OVER_BUDGET = 3
    OUT_OF_MEMORY = 4
    STACK_OVERFLOW = 5
    ARITHMETIC_TRAP = 6
    ABORTED = 7
    MEMORY_FAULT = 8
    FORBIDDEN_CALL = 9
    RESULT_TOO_LARGE = 10
    NOT_LOADED = 11
    WORKER_DIED = 12
    BAD_REQUEST = 13


@dataclass(frozen=True)
class Sizes:
    """Slots, bytes of a payload, functions: what the layout follows from."""

    slots: int = 64
    buffer: int = 1 << 20
    functions: int = 8192

    @property
    def responses(self) -> int:
        """Offset of the responses; the requests follow the header."""
        return HEADER_BYTES + self.slots * REQUEST_BYTES

    @property
    def table(self) -> int:
        """Offset of the table of functions."""
        return _paged(self.responses + self.slots * RESPONSE_BYTES)

    @property
    def inputs(self) -> int:
        """Offset of the requests' payloads."""
        return _paged(self.table + self.functions * FUNCTION_BYTES)

    @property
    def outputs(self) -> int:
        """Offset of the responses' payloads."""
        return self.inputs + self.slots * self.buffer

    @property
    def total(self) -> int:
        """Bytes of the whole channel."""
        return _paged(self.outputs + self.slots * self.buffer)


@dataclass(frozen=True)
class Completion:
    """An answer. Times are the worker's, in nanoseconds."""

    number: int
    ending: Ending
    payload: bytes
    load_ns: int
    run_ns: int


class Channel:
    """A channel in a memfd of its own. Leaving it as a context unmaps and closes it.

    One thread may send, one (the same or another) may poll and wait.
    """

    def __init__(self, sizes: Sizes | None = None) -> None:
        if platform.machine() != "x86_64":
            raise MicroError("Micro's channels rely on x86-64's memory order; this is another CPU.")
        self.sizes = sizes = sizes or Sizes()
        self.descriptor = os.memfd_create("micro-channel", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, sizes.total)
            # A worker that could shrink the file could kill this process.
            fcntl.fcntl(self.descriptor, ADD_SEALS, SEAL_SHRINK | SEAL_GROW)
            self._memory = mmap.mmap(self.descriptor, sizes.total)
        except OSError as error:
            os.close(self.descriptor)
            raise MicroError(
                f"A channel of {sizes.total} bytes cannot be made ({error.strerror})."
            ) from error
        self._bytes = memoryview(self._memory)
        self._u32 = self._bytes.cast("I")
        self._u64 = self._bytes.cast("Q")
        self._anchor = ctypes.c_char.from_buffer(self._memory)
        self._fence = threading.Lock()
        self._sent = self._taken = 0
        self._functions: list[tuple[bytes, bytes]] = []
        self.expect_successor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap and close; nobody may use the channel any more."""
        del self._anchor
        for view in (self._u32, self._u64, self._bytes):
            view.release()
        self._memory.close()
        os.close(self.descriptor)

    def register(self, name: str, path: os.PathLike[str]) -> int:
        """Add a function to the worker's table; return its number. MicroError if it has no room."""
        texts = (name.encode()[:NAME_BYTES].decode(errors="ignore").encode(), os.fsencode(path))
        number = len(self._functions)
        if number == self.sizes.functions:
            raise MicroError(
                f"A worker's table has {number} functions and no room for {name}. "
                "Start the dispatcher anew."
            )
        if len(texts[1]) > PATH_BYTES:
            raise MicroError(f"{path} is longer than {PATH_BYTES} bytes. Move the checkout.")
        self._functions.append(texts)
        self._write_function(number)
        self._set32(FUNCTION_COUNT_AT, number + 1)
        return number

    def _write_function(self, number: int) -> None:
        at = self.sizes.table + number * FUNCTION_BYTES
        for place, text in zip((at, at + 4 + NAME_BYTES), self._functions[number], strict=True):
            self._set32(place, len(text))
            self._bytes[place + 4 : place + 4 + len(text)] = text

    @property
    def full(self) -> bool:
        """Whether every slot holds a request whose answer was not taken."""
        return self._sent - self._taken == self.sizes.slots

    @property
    def under_way(self) -> int:
        """Requests whose answers were not taken."""
        return self._sent - self._taken

    def send(self, kind: Kind, function: int, payload: bytes, budget_ns: int) -> int:
        """Publish a request and return its number. ValueError when full or the payload too large:
        callers look first.
        """
        sizes = self.sizes
        if self.full or len(payload) > sizes.buffer:
            raise ValueError("the channel has no room for this request")
        slot = self._sent % sizes.slots
        start = sizes.inputs + slot * sizes.buffer
        self._bytes[start : start + len(payload)] = payload
        at = HEADER_BYTES + slot * REQUEST_BYTES
        for offset, value in enumerate((kind, function, len(payload), 0)):
            self._set32(at + 4 * offset, value)
        self._u64[at // 8 + 2] = budget_ns
        self._sent += 1
        self._u64[REQUEST_HEAD_AT // 8] = self._sent
        self._wake(WORKER_SLEEPS_AT)
        return self._sent - 1

    def poll(self) -> Completion | None:
        """Take the next answer, if it is there. What the worker wrote is bounded, not believed."""
        if self._taken == self._sent or not self._answered():
            return None
        sizes = self.sizes
        slot = self._taken % sizes.slots
        at = sizes.responses + slot * RESPONSE_BYTES
        ending, size = self._u32[at // 4 + 2], min(self._u32[at // 4 + 3], sizes.buffer)
        start = sizes.outputs + slot * sizes.buffer
        known = ending in Ending._value2member_map_
        if self._u64[at // 8] != self._taken:
            # An answer to another request: what its slot held before, or nonsense.
            known, size = False, 0
        completion = Completion(
            number=self._taken,
            ending=Ending(ending) if known else Ending.BAD_REQUEST,
            payload=bytes(self._bytes[start : start + size]),
            load_ns=self._u64[at // 8 + 2],
            run_ns=self._u64[at // 8 + 3],
        )
        self._taken += 1
        return completion

    def wait(self, limit_s: float) -> None:
        """Sleep until there is an answer, at most `limit_s`; may return without one."""
        self._sleep(DISPATCHER_SLEEPS_AT, self._answered, limit_s)

    def interrupt(self) -> None:
        """Have a thread that waits look again."""
        self._wake(DISPATCHER_SLEEPS_AT)

    @property
    def state(self) -> int:
        """A `State`, as the worker says."""
        return self._u32[STATE_AT // 4]

    def expect_successor(self) -> None:
        """Have the next worker say itself that it serves. Call while there is none.

        What a worker may write but must not is put right: its last moments are not believed.
        """
        self._set32(STATE_AT, State.STARTING)
        self._u64[0] = MAGIC
        self._set32(VERSION_AT, VERSION)
        self._set32(SLOTS_AT, self.sizes.slots)
        self._set32(BUFFER_AT, self.sizes.buffer)
        self._set32(FUNCTIONS_AT, self.sizes.functions)
        for number in range(len(self._functions)):
            self._write_function(number)
        self._set32(FUNCTION_COUNT_AT, len(self._functions))
        self._u64[REQUEST_HEAD_AT // 8] = self._sent
        self._u64[RESPONSE_HEAD_AT // 8] = min(max(self.answered, self._taken), self._sent)

    @property
    def oldest(self) -> int | None:
        """Number of the request that is to be answered next; None if all are. Not the worker's
        word: requests are answered in their order.
        """
        return self._taken if self._taken < self._sent else None

    @property
    def answered(self) -> int:
        """Requests answered, as the worker says."""
        return self._u64[RESPONSE_HEAD_AT // 8]

    @property
    def ticks(self) -> int:
        """Ticks of the preemption clock that the worker has seen."""
        return self._u64[TICKS_AT // 8]

    def last_words(self) -> str:
        """Return why the worker ended, as far as it could say."""
        size = min(self._u32[LAST_WORDS_AT // 4], LAST_WORDS_BYTES)
        start = LAST_WORDS_AT + 4
        text = bytes(self._bytes[start : start + size]).decode("utf-8", "replace")
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def _answered(self) -> bool:
        return self._u64[RESPONSE_HEAD_AT // 8] > self._taken

    def _set32(self, at: int, value: int) -> None:
        self._u32[at // 4] = value

    def _barrier(self) -> None:
        # Taking a lock is a locked instruction: what was written before is seen before what is
        # read after. Without it a sleeper and a waker could miss each other.
        with self._fence:
            pass

    def _sleep(self, at: int, ready: Callable[[], bool], limit_s: float) -> None:
        self._set32(at, 1)
        self._barrier()
        if not ready():
            seconds, rest = divmod(limit_s, 1)
            limit = (ctypes.c_int64 * 2)(int(seconds), int(rest * 1e9))
            _libc.syscall(
                *(SYS_FUTEX, ctypes.c_void_p(self._address(at)), FUTEX_WAIT, 1),
                ctypes.byref(limit),
            )
        self._set32(at, 0)

    def _wake(self, at: int) -> None:
        self._barrier()
        if self._u32[at // 4] == 1:
            self._set32(at, 0)
            _libc.syscall(SYS_FUTEX, ctypes.c_void_p(self._address(at)), FUTEX_WAKE, 1)

    def _address(self, at: int) -> int:
        return ctypes.addressof(self._anchor) + at


def _paged(at: int) -> int:
    return (at + PAGE - 1) & ~(PAGE - 1)
