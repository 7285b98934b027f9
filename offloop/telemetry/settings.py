"""What an operator can set about telemetry, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

#: Ports for the metrics: one, or with commas between them as many as there are server processes.
PORT_VARIABLE = "OFFLOOP_METRICS_PORT"

#: Address on which metrics are served. Containers need another one: Prometheus is outside of their
#: loopback.
HOST_VARIABLE = "OFFLOOP_METRICS_HOST"

#: How log lines look.
FORMAT_VARIABLE = "OFFLOOP_LOG_FORMAT"

LOOPBACK = "127.0.0.1"

_LAST_PORT = 65535


class LogFormat(StrEnum):
    """How log lines look."""

    #: One JSON object a line, for machines.
    JSON = "json"
    #: The same for people.
    CONSOLE = "console"


class WrongSettingError(ValueError):
    """A variable in the environment holds what it cannot."""


@dataclass(frozen=True)
class TelemetrySettings:
    """Settings of one process.

    Attributes:
        metrics_ports: Where metrics may be served, on the first that is free; none to serve none.
        metrics_host: On which address.
        log_format: None to let the terminal decide.
    """

    metrics_ports: tuple[int, ...] = ()
    metrics_host: str = LOOPBACK
    log_format: LogFormat | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; what is not set, or empty, is as above.

        Raises:
            WrongSettingError: Names the variable, what it holds and what it may hold.
        """
        return cls(
            metrics_ports=_ports(environment.get(PORT_VARIABLE, "")),
            metrics_host=environment.get(HOST_VARIABLE) or LOOPBACK,
            log_format=_log_format(environment.get(FORMAT_VARIABLE, "")),
        )


def _ports(text: str) -> tuple[int, ...]:
    numbers = [number.strip() for number in text.split(",") if number.strip()]
    if not all(number.isdecimal() and int(number) <= _LAST_PORT for number in numbers):
        raise WrongSettingError(
            f"{PORT_VARIABLE} is {text!r}; it must be a port from 1 to {_LAST_PORT}, such as 9100, "
            "or several with commas between them, or 0 to serve no metrics"
        )
    return tuple(port for port in map(int, numbers) if port)


def _log_format(text: str) -> LogFormat | None:
    try:
        return LogFormat(text) if text else None
    except ValueError:
        raise WrongSettingError(
            f"{FORMAT_VARIABLE} is {text!r}; it must be {' or '.join(LogFormat)}, or not be set"
        ) from None
