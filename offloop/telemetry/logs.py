"""Structured logs: every line with its fields, as JSON or for people.

`configure` makes all loggers of the process write so, those of libraries included. Code goes on to
use `logging`. Fields come from `extra={...}`, and for everything that is logged within a block or a
thread of work from `structlog.contextvars.bound_contextvars(...)`; the id of the request that is
being answered is always there.

Without `OFFLOOP_LOG_FORMAT` (`json` or `console`) lines are made for people where standard error is
a terminal, and for machines where it is not.
"""

import logging
import sys
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from offloop.telemetry.request_ids import current_request_id
from offloop.telemetry.settings import LogFormat, TelemetrySettings

#: Servers that write their lines themselves, in formats of their own.
_SERVERS = ("uvicorn", "uvicorn.access", "gunicorn.error", "gunicorn.access")

#: Comes first, so that lines of several files can be sorted by their text, and read.
_FIRST = (
    *("timestamp", "level", "event", "logger"),
    *("request_id", "job_id", "queue", "attempt"),
)

#: What uvicorn adds for its own formatter.
_NOISE = ("color_message",)


def configure(log_format: LogFormat | None = None, *, level: int = logging.INFO) -> None:
    """Format what all loggers of this process write to standard error, from now on.

    As `logging.basicConfig`, it leaves handlers that are there: those that write to a stream get
    the format. Safe to call again.

    Args:
        log_format: How lines look; if it is not given, what `OFFLOOP_LOG_FORMAT` says.
        level: The least severe lines to write, where no handler was there.

    Raises:
        WrongSettingError: `OFFLOOP_LOG_FORMAT` is none.
    """
    log_format = log_format or TelemetrySettings.from_environment().log_format or _usual_format()
    logging.basicConfig(level=level)
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if not logger.handlers and not logger.propagate:
            continue  # silenced, as by `uvicorn --no-access-log`
        logger.handlers.clear()
        logger.propagate = True
    for handler in logging.getLogger().handlers:
        # Not for subclasses: they write elsewhere, in formats of their own.
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(formatter(log_format))
    _configure_structlog()


def formatter(log_format: LogFormat) -> logging.Formatter:
    """Return what turns a record of any logger into a line.

    Args:
        log_format: How lines look.
    """
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_FIELDS,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_ends(log_format)],
        pass_foreign_args=True,
    )


def _usual_format() -> LogFormat:
    # Not the handler's stream: Dramatiq's workers write to a pipe whose other end is a terminal.
    isatty = sys.__stderr__ is not None and sys.__stderr__.isatty()
    return LogFormat.CONSOLE if isatty else LogFormat.JSON


def _configure_structlog() -> None:
    """Let loggers of structlog itself go the same way."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_FIELDS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _name_event(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Cut off fields that a message spells out for loggers which would not show them otherwise.

    Such a message is made from a mapping: `log.warning("it broke at=%(at)s", {"at": 1}, ...)`.
    """
    arguments = line.pop("positional_args", None)
    if isinstance(arguments, Mapping) and arguments:
        line["event"] = line["event"].partition(f" {next(iter(arguments))}=")[0]
    return line


def _add_request_id(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    request_id = current_request_id()
    if request_id is not None:
        line.setdefault("request_id", request_id)
    return line


def _drop_noise(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    for name in _NOISE:
        line.pop(name, None)
    return line


def _put_first(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    return {name: line.pop(name) for name in _FIRST if name in line} | dict(line)


#: What every line has, whichever logger writes it.
_FIELDS: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    _add_request_id,
    _name_event,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    _drop_noise,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _ends(log_format: LogFormat) -> tuple[Processor, ...]:
    """What makes a line of its fields."""
    match log_format:
        case LogFormat.JSON:
            return (
                structlog.processors.format_exc_info,
                _put_first,
                structlog.processors.JSONRenderer(),
            )
        case LogFormat.CONSOLE:
            return (
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(),
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            )
