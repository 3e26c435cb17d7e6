"""Log lines: structlog, JSON for machines and plain for a terminal.

Invariant: every line that is logged, a library's too, has one form; the ids of a call are set in its own context and never
leak into another's lines; a stack names its places and not the values there, which may be anybody's data and take long to
write.
"""

import logging
import sys
from contextvars import ContextVar
from typing import Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from services.common.telemetry import parse_traceparent

traced: ContextVar[str] = ContextVar("traced", default="")
"""The W3C trace context that this task works under; its ids are in every line."""
requested: ContextVar[str] = ContextVar("requested", default="")
"""The request_id of the command that this task carries out."""


def name_call(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Name the call that a line belongs to."""
    # Read only when a line is written: a call that logs nothing pays for one `set`.
    if context := parse_traceparent(traced.get()):
        line["trace_id"], line["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    if request_id := requested.get():
        line["request_id"] = request_id
    return line


def configure(service: str, log_format: Literal["auto", "console", "json"], level: str) -> None:
    """Set up logging for this process, to standard error. Lines of libraries below `warning` are left out."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    stacks: list[Processor] = [structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))]
    if console:
        renderer, stacks = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback), []

    def name_service(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line.setdefault("service", service)
        return line

    begin: list[Processor] = [
        name_service,
        name_call,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*begin, *stacks, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*begin, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *stacks, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in ("nats", "grpc", "alembic", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.ERROR)
