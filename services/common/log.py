"""Log lines: structlog, JSON for machines and plain for a terminal.

Invariant: what a call binds (its ids) is bound in its own context and never leaks into another's lines.
"""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger


def configure(service: str, log_format: Literal["auto", "console", "json"], level: str) -> None:
    """Set up logging for this process, to standard error. Lines of libraries below `warning` are left out."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(ensure_ascii=False)

    def name_service(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line.setdefault("service", service)
        return line

    structlog.configure(
        processors=[
            name_service,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if console else [structlog.processors.dict_tracebacks]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    for name in ("nats", "grpc", "alembic", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.ERROR)
