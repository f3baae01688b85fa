"""Small drafts and manifests for the store's tests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snapshot_store import PAGE_SIZE, Block, Checksum, Depth, Draft, Level, Manifest, PageSet
from snapshot_store.manifest import identify

IMAGE = "1a" * 32
FUNCTION = "2b" * 32
FACTS = {"machine": "microvm", "accelerator": "tcg", "cpu": "max", "qemu": "7.2.9"}
RAM_PAGES = 64
BLOCKS = (
    Block("microvm.ram", RAM_PAGES * PAGE_SIZE, 0),
    Block("pc.bios", 16 * PAGE_SIZE, RAM_PAGES),
)

MANIFEST = identify(
    Manifest(
        id="",
        format_version=2,
        depth=Depth.VM,
        level=Level.ARGUMENT,
        parent="0123456789abcdef",
        image=IMAGE,
        runtime="python3.11",
        function=FUNCTION,
        key="model=größer",
        label="",
        ao=True,
        created=1_700_000_000,
        blocks=BLOCKS,
        facts=FACTS,
        page_count=3,
        stored_pages=2,
        state_size=5,
        checksums={
            "pages.idx": Checksum(48, "ab" * 32, 1),
            "pages.bin": Checksum(8192, "cd" * 32, 0xFFFFFFFF),
            "state.bin": Checksum(5, "ef" * 32, 0),
        },
    )
)


def page_set(contents: Mapping[int, int]) -> PageSet:
    """Pages by number, each filled from a seed; seed 0 gives a zero page."""
    numbers = np.array(sorted(contents), np.uint64)
    data = np.zeros((len(numbers), PAGE_SIZE), np.uint8)
    for row, number in enumerate(sorted(contents)):
        if seed := contents[number]:
            data[row] = np.random.default_rng(seed).integers(0, 256, PAGE_SIZE, np.uint8)
    return PageSet(numbers, data)


def base_draft(contents: Mapping[int, int] | None = None, **changes: Any) -> Draft:
    """A base; `contents` as in `page_set`."""
    pages = page_set({1: 1, 2: 2, 3: 0, 9: 2, 70: 5} if contents is None else contents)
    draft = Draft(
        depth=Depth.VM,
        level=Level.BASE,
        image=IMAGE,
        runtime="python3.11",
        blocks=BLOCKS,
        pages=pages,
        state=b"device state of the base",
        label="base",
        facts=FACTS,
    )
    return replace(draft, **changes)


def function_draft(parent: str, contents: Mapping[int, int] | None = None, **changes: Any) -> Draft:
    """A function snapshot on `parent`."""
    return base_draft(
        {2: 0, 4: 7, 9: 8} if contents is None else contents,
        **{
            "level": Level.FUNCTION,
            "parent": parent,
            "function": FUNCTION,
            "state": b"device state of the function",
            "label": "nop",
            **changes,
        },
    )


def argument_draft(parent: str, contents: Mapping[int, int], **changes: Any) -> Draft:
    """An argument snapshot on `parent`."""
    return function_draft(
        parent, contents, **{"level": Level.ARGUMENT, "key": "model=small", **changes}
    )


def as_dict(pages: PageSet) -> dict[int, bytes]:
    """Page bytes by number, zero pages too."""
    return {
        int(number): page.tobytes() for number, page in zip(pages.numbers, pages.data, strict=True)
    }
