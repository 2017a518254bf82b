"""Structured logs: one JSON object a line, or readable lines on a terminal."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Any, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from mutt_appliance.telemetry.priorities import with_priority
from mutt_appliance.telemetry.repeats import Repeats


class LogStream(Protocol):
    """What log lines are written to."""

    def write(self, text: str, /) -> int:
        """Take text."""

    def flush(self) -> None:
        """Pass on what was taken."""

    def isatty(self) -> bool:
        """True for a terminal."""


@dataclass
class _Shown:
    debug: bool = False


_shown = _Shown()
_repeats: Repeats | None = None


def configure_logging(
    level: str,
    log_format: str = "auto",
    stream: LogStream | None = None,
    *,
    repeat_limit: int = 0,
    priorities: bool = False,
    **context: str,
) -> None:
    """Set up structlog and the standard library's logging to write to `stream` (default: stderr).

    `context` (such as process="alerter:0") is in every line. With a `repeat_limit` only so many lines of one
    warning are written in a minute (see Repeats). With `priorities` each line begins with its own, for the journal.
    """
    global _repeats
    out = cast(TextIO, stream or sys.stderr)
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    _repeats = Repeats(repeat_limit) if repeat_limit else None
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _always(context),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if console
        else structlog.processors.JSONRenderer(default=str)
    )
    if priorities:
        renderer = _with_priority(renderer)
    final = [renderer] if console else [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[*shared, *([_repeats] if _repeats else []), *final],
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
    if _repeats:
        handler.addFilter(_repeats)
    logging.getLogger().handlers[:] = [handler]
    set_log_level(level)


def set_log_level(level: str) -> None:
    """Write lines of `level` ("DEBUG") and above from now on, from every thread."""
    structlog.configure(
        **{**structlog.get_config(), "wrapper_class": structlog.make_filtering_bound_logger(level)}
    )
    _shown.debug = logging.getLevelName(level) <= logging.DEBUG
    logging.getLogger().setLevel(max(logging.getLevelName(level), logging.WARNING))


def debug_is_shown() -> bool:
    """True when lines at DEBUG are written: for who would make many of them. Costs less than such a line."""
    return _shown.debug


def finish_logging() -> None:
    """The process ends: write how many lines were left out so far."""
    if _repeats is not None:
        _repeats.finish()


def _always(context: dict[str, str]) -> Processor:
    """Processor that puts `context` into every line, whatever thread wrote it."""

    def add(_: object, __: str, event: EventDict) -> EventDict:
        for name, value in context.items():
            event.setdefault(name, value)
        return event

    return add


def _with_priority(renderer: Processor) -> Processor:
    def render(logger: Any, name: str, event: EventDict) -> str:
        level = str(event.get("level"))
        return with_priority(level, str(renderer(logger, name, event)))

    return render


def get_logger(name: str) -> FilteringBoundLogger:
    """Logger of one module; `name` is its dotted path below mutt_appliance."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
