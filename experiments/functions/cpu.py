"""CPU-bound: a loop of integer arithmetic in the interpreter, with no call and no allocation."""

MODULUS = 2**31 - 1
MULTIPLIER = 48_271


def main(args: dict[str, int]) -> dict[str, int]:
    """Return the state of a multiplicative generator after `args["turns"]` steps."""
    state = 1
    for _ in range(args["turns"]):
        state = state * MULTIPLIER % MODULUS
    return {"state": state}
