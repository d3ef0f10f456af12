"""Logs go to standard error, one line a record, as text for people or JSON for programs."""

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

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
    logging.config.dictConfig(logging_configuration(settings))


def logging_configuration(settings: Settings) -> dict[str, Any]:
    """Give the `logging.config` dictionary of the settings, which is of as many types as it has."""
    quiet = logging.getLevelName(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    line = {"()": JsonFormatter} if settings.log_format == "json" else {"format": _TEXT}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": settings.log_level, "handlers": ["stderr"]},
        "loggers": {name: {"level": quiet} for name in _NOISY},
    }
