"""Structured logs: one JSON object a line for each event."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Final

logger = logging.getLogger(__name__)

FIELDS: Final = "seuss_fields"


def event(name: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with its fields; None is left out."""
    if logger.isEnabledFor(level):
        told = {field: value for field, value in fields.items() if value is not None}
        logger.log(level, name, extra={FIELDS: told})


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON: time (UTC), level, event, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
        }
        fields = getattr(record, FIELDS, None)
        if fields is None:
            told |= {"event": "log", "logger": record.name, "message": record.getMessage()}
        else:
            told |= {"event": record.getMessage()} | fields
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)
