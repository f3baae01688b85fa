"""A runner per test, on this machine; the tests are skipped where the program is not built."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.runtime.native_runner import PROGRAM, NativeRunner


@pytest.fixture
def runner() -> Iterator[NativeRunner]:
    """A runner that has announced itself and has no function yet."""
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built: make -C ebbrt_image/runtimes/python")
    with NativeRunner() as started:
        yield started
