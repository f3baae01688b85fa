"""Puts the guest's Python modules where tests can import them under the names they have there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

RUNNER = str(Path(__file__).parents[3] / "ebbrt_image/runtimes/python/runner")

if RUNNER not in sys.path:
    sys.path.append(RUNNER)

# The guest's interpreter has it built in.
RENEWAL = ModuleType("_seuss_renewal")
RENEWAL.keep = lambda unseeded, callbacks: None  # type: ignore[attr-defined]
sys.modules.setdefault(RENEWAL.__name__, RENEWAL)
