"""Progress: on a terminal only, and gone when the work is done."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from types import SimpleNamespace

import pytest

from orchestrator.cli import progress


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in place of stderr, and no patience, so that progress shows at once."""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.001)
    shown = Terminal()
    # pytest puts back its own sys.stderr before the test runs.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=shown))
    return shown


async def test_activity_is_shown_and_erased(terminal: Terminal) -> None:
    async with progress.activity("booting"):
        await asyncio.sleep(0.05)
        assert "booting ... 0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith(progress.ERASE_LINE)


async def test_short_activity_is_not_named(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 60.0)
    async with progress.activity("booting"):
        await asyncio.sleep(0)
    assert "booting" not in terminal.getvalue()


async def test_failure_of_the_work_comes_through(terminal: Terminal) -> None:
    with pytest.raises(ValueError, match="it broke"):
        async with progress.activity("booting"):
            raise ValueError("it broke")
    assert terminal.getvalue().endswith(progress.ERASE_LINE)


def test_bar(terminal: Terminal) -> None:
    bar = progress.Progress("measuring", 4)
    bar.show(2, "nop warm")
    assert "measuring [###############...............] 2/4" in terminal.getvalue()
    assert "nop warm" in terminal.getvalue()
    bar.close()
    assert terminal.getvalue().endswith(progress.ERASE_LINE)


async def test_nothing_without_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    bar = progress.Progress("measuring", 4)
    async with progress.activity("booting"):
        await asyncio.sleep(0.01)
        bar.show(1)
    bar.close()
    assert terminal.getvalue() == ""


def test_sigterm_lets_the_work_clean_up() -> None:
    cleaned = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    with pytest.raises(asyncio.CancelledError):
        progress.run(work())
    assert cleaned == [True]
