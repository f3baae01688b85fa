"""Puts the guest's Python modules and the image's build tools where tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

RUNTIME = Path(__file__).parents[3] / "ebbrt_image/runtimes/python"

for folder in (RUNTIME / "runner", RUNTIME / "tools"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
