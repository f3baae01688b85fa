"""Processor time from /proc, made up and real."""

from __future__ import annotations

import os
import pathlib
import threading
import time

import pytest

from experiments.host_cpu import machine_seconds, thread_seconds

TICK = 1 / os.sysconf("SC_CLK_TCK")


def _stat(proc: pathlib.Path, thread: int, name: str, user: int, system: int) -> None:
    folder = proc / "7" / "task" / str(thread)
    folder.mkdir(parents=True)
    text = f"{thread} ({name}) R 1 1 1 0 -1 4194304 1 2 3 4 {user} {system} 0 0 20 0 3 0 99"
    (folder / "stat").write_text(text)


def test_threads_are_added_up_by_name(tmp_path: pathlib.Path) -> None:
    _stat(tmp_path, 7, "seuss-node", 5, 1)
    _stat(tmp_path, 8, "CPU 0/TCG", 100, 20)
    _stat(tmp_path, 9, "CPU 0/TCG", 1, 1)
    _stat(tmp_path, 10, "a) R 9 (b", 3, 4)
    (tmp_path / "7" / "task" / "11").mkdir()  # ended between listing and reading
    assert thread_seconds(7, tmp_path) == pytest.approx(
        {"seuss-node": 6 * TICK, "CPU 0/TCG": 122 * TICK, "a) R 9 (b": 7 * TICK}
    )


def test_machine_counts_neither_idle_nor_guests(tmp_path: pathlib.Path) -> None:
    (tmp_path / "stat").write_text("cpu  10 20 30 4000 500 6 7 8 900 0\ncpu0 1 1 1 1\n")
    assert machine_seconds(tmp_path) == pytest.approx((10 + 20 + 30 + 6 + 7 + 8) * TICK)


def test_own_threads_are_seen() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        started = time.process_time()
        while time.process_time() - started < 0.1:
            pass
        assert sum(thread_seconds(os.getpid()).values()) >= 0.09
    finally:
        done.set()
        thread.join()


def test_process_that_is_gone() -> None:
    with pytest.raises(OSError, match="task"):
        thread_seconds(2**22 + 1)
