"""Logs go to standard error, one line a record, as text for people or JSON for programs."""

import logging
import sys
from datetime import UTC, datetime

from schemas import codec
from schemas.settings import Settings

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_NOISY = ("aiokafka", "faust", "mode", "asyncio", "httpx")


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object; the exception, where there is one, is in `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return codec.encode(line).decode()


def configure_logging(settings: Settings) -> None:
    """Set up this process's logging once, at its start."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = settings.log_format == "json"
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
