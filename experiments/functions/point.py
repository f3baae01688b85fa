"""A computation in two parts with a snapshot point between them: `common` turns, then `own`."""

from typing import Any

import seuss

MODULUS = 2**31 - 1
MULTIPLIER = 48_271


def advance(state: int, turns: int) -> int:
    """Return the state of a multiplicative generator after `turns` steps."""
    for _ in range(turns):
        state = state * MULTIPLIER % MODULUS
    return state


def main(args: dict[str, Any]) -> dict[str, int]:
    """Return the generator's state after `args["common"]` and `args["own"]` steps."""
    state = advance(1, args["common"])
    rest: dict[str, Any] = seuss.snapshot_point("common")
    return {"state": advance(state, rest["own"])}
