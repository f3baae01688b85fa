"""JSON echo: takes a document apart and puts it together again, as most small services do."""

import json


def main(args: dict[str, object]) -> dict[str, object]:
    """Return `args["document"]` (JSON text) as an object, with its size in bytes."""
    text = str(args["document"])
    document = json.loads(text)
    return {"document": document, "bytes": len(json.dumps(document))}
