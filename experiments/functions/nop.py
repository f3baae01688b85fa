"""Does nothing: what remains is the platform's own time."""


def main(args: dict[str, object]) -> dict[str, object]:
    """Return an empty object."""
    return {}
