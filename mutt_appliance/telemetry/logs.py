"""Structured logs: one JSON object a line, or readable lines on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Protocol, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger


class LogStream(Protocol):
    """What log lines are written to."""

    def write(self, text: str, /) -> int:
        """Take text."""

    def flush(self) -> None:
        """Pass on what was taken."""

    def isatty(self) -> bool:
        """True for a terminal."""


def configure_logging(
    level: str, log_format: str = "auto", stream: LogStream | None = None, **context: str
) -> None:
    """Set up structlog and the standard library's logging to write to `stream` (default: stderr).

    `context` (such as process="alerter:0") is in every line.
    """
    out = cast(TextIO, stream or sys.stderr)
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _always(context),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if console
        else structlog.processors.JSONRenderer(default=str)
    )
    final = [renderer] if console else [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.getLevelName(level), logging.WARNING))


def _always(context: dict[str, str]) -> structlog.typing.Processor:
    """Processor that puts `context` into every line, whatever thread wrote it."""

    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        for name, value in context.items():
            event.setdefault(name, value)
        return event

    return add


def get_logger(name: str) -> FilteringBoundLogger:
    """Logger of one module; `name` is its dotted path below mutt_appliance."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
