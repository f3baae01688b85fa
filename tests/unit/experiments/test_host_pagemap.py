"""The host's pagemap: the pages of a private mapping that were copied."""

from __future__ import annotations

import mmap
import os

import numpy as np
import pytest

from experiments import host_pagemap
from experiments.host_pagemap import Span
from orchestrator.errors import CaptureError
from snapshot_store.pageset import PAGE_SIZE

PAGES = 6
MAPS = """\
55d0c0000000-55d0c0001000 r-xp 00000000 08:01 42 /usr/bin/other
7f0000000000-7f0000004000 rw-p 00000000 00:01 7 /memfd:seuss-ram (deleted)
7f0000010000-7f0000012000 rw-p 00004000 00:01 7 /memfd:seuss-ram (deleted)
7f0000020000-7f0000026000 r--s 00000000 00:01 7 /memfd:seuss-ram (deleted)
7ffc00000000-7ffc00001000 rw-p 00000000 00:00 0
"""


def test_spans_of_the_private_mappings() -> None:
    expected = [Span(0x7F0000000000, 4, 0), Span(0x7F0000010000, 2, 4)]
    assert host_pagemap.spans(MAPS) == expected


def test_only_written_pages_are_copies() -> None:
    descriptor = os.memfd_create("seuss-ram")
    os.ftruncate(descriptor, PAGES * PAGE_SIZE)
    flags = mmap.MAP_PRIVATE
    with mmap.mmap(descriptor, PAGES * PAGE_SIZE, flags=flags) as memory:
        os.close(descriptor)
        assert memory[2 * PAGE_SIZE] == 0  # read only
        memory[PAGE_SIZE] = 1
        memory[4 * PAGE_SIZE] = 0  # written with what it held
        entries = host_pagemap.read(os.getpid(), PAGES)
    assert np.flatnonzero(host_pagemap.copied(entries)).tolist() == [1, 4]


def test_pages_in_swap_are_copies_too() -> None:
    entries = np.array(
        [0, host_pagemap.SWAPPED, host_pagemap.PRESENT | host_pagemap.FILE_OR_SHARED], np.uint64
    )
    assert host_pagemap.copied(entries).tolist() == [False, True, False]


def test_memory_that_is_not_mapped_privately() -> None:
    with pytest.raises(CaptureError, match="maps 0 of its 6 pages privately"):
        host_pagemap.read(os.getpid(), PAGES)
