"""What processes log, and how: key=value lines on standard error."""

from __future__ import annotations

import logging
import sys

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str) -> None:
    """Everything from `level` up goes to standard error, ours and the libraries'."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # The libraries' own information is about their insides; their warnings matter.
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), stream=sys.stderr)
    # Every job of ours tells of its own failures; arq would repeat them, and call a shutdown an error.
    logging.getLogger("arq").setLevel(logging.CRITICAL)
    # It warns at each start that voice, which is not used, is not supported; its errors matter.
    logging.getLogger("discord.client").setLevel(logging.ERROR)
