"""Structured logs: a line a person reads on a terminal, or one JSON object a line for a collector."""

from __future__ import annotations

import logging
import logging.config
from typing import Literal


def configure_logging(style: Literal["text", "json"], level: str) -> None:
    """Send every log line to standard error in one style."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
                "json": {
                    "()": "pythonjsonlogger.json.JsonFormatter",
                    "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
                    "rename_fields": {"asctime": "at", "levelname": "level", "name": "logger"},
                },
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": style}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # Every page view is a dozen requests; what matters is in /metrics and the query log.
                "uvicorn.access": {"level": "WARNING"},
                "alembic": {"level": "WARNING"},
                "watchdog": {"level": "WARNING"},
            },
        }
    )


def adopt_streamlit_loggers() -> None:
    """Give Streamlit's own loggers, and uvicorn's that it takes over, the one style. Call when the server is up."""
    for logger in logging.Logger.manager.loggerDict.values():
        own = getattr(logger, "streamlit_console_handler", None)
        if isinstance(logger, logging.Logger) and own is not None:
            logger.removeHandler(own)
            logger.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
