"""What a service is, and how to tell that it is ready."""

import http.client
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from offloop.stack.errors import StackError
from offloop.stack.ports import LOOPBACK

#: One probe gives up after this long; the readiness deadline is the service's own.
PROBE_TIMEOUT_S = 1.0

#: The highest niceness there is: the lowest priority.
NICEST = 19

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Readiness(Protocol):
    """How to tell that a service has started."""

    @property
    def deadline_s(self) -> float:
        """Seconds after which a service that is not ready has failed."""

    @property
    def port(self) -> int | None:
        """The loopback port the service will listen on; None if that is not known."""

    def missing(self) -> str | None:
        """What is still missing, in words; None when the service is ready. Never raises."""


@dataclass(frozen=True)
class Running:
    """Ready as soon as it runs: for a service that serves nothing."""

    deadline_s: float = 10.0
    port: int | None = None

    def missing(self) -> str | None:
        """Nothing: the process has been started."""
        return None


@dataclass(frozen=True)
class HttpOk:
    """Ready when a GET of `url` (plain http) is answered with status 200."""

    url: str
    deadline_s: float = 30.0

    @property
    def port(self) -> int | None:
        """The port in the URL, if the URL is on loopback."""
        parts = urlsplit(self.url)
        return parts.port if parts.hostname in {LOOPBACK, "localhost"} else None

    def missing(self) -> str | None:
        """Ask once."""
        parts = urlsplit(self.url)
        # Not urllib: a proxy set in the environment must not come between the lab and loopback.
        connection = http.client.HTTPConnection(parts.netloc, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", parts._replace(scheme="", netloc="").geturl() or "/")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"GET {self.url} got no answer ({type(error).__name__}: {error})"
        finally:
            connection.close()
        return (
            None
            if status == http.client.OK
            else f"GET {self.url} was answered {status} instead of 200"
        )


@dataclass(frozen=True)
class AllReady:
    """Ready when each of these is; its port and deadline are those of the first."""

    parts: tuple[Readiness, ...]

    @property
    def deadline_s(self) -> float:
        """The first one's."""
        return self.parts[0].deadline_s

    @property
    def port(self) -> int | None:
        """The first one's."""
        return self.parts[0].port

    def missing(self) -> str | None:
        """What the first part misses that is not ready."""
        return next(filter(None, (part.missing() for part in self.parts)), None)


@dataclass(frozen=True)
class RedisPong:
    """Ready when a Redis or Valkey server on this loopback port answers PING."""

    port: int
    deadline_s: float = 10.0

    def missing(self) -> str | None:
        """Ask once. While an append-only file is loaded, the answer is an error."""
        address = (LOOPBACK, self.port)
        try:
            with socket.create_connection(address, timeout=PROBE_TIMEOUT_S) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(256)
        except OSError as error:
            return f"PING to port {self.port} got no answer ({type(error).__name__}: {error})"
        return None if answer.startswith(b"+PONG") else f"PING was answered {answer!r}"


@dataclass(frozen=True)
class Service:
    """One process to start and keep running.

    Attributes:
        name: Names it in logs, errors and results; also the name of its log file.
        command: Program and arguments. Its descendants are part of the service.
        env: Variables set on top of the lab's own environment.
        nice: Niceness added to the lab's own, 0 (same priority) to 19 (lowest).
        ready: How to tell that it has started.
        url: Where it serves, if it does.
        metrics_urls: Where the Prometheus metrics of each of its processes are that has some.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    nice: int = 0
    ready: Readiness = field(default_factory=Running)
    url: str | None = None
    metrics_urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_process(self.name, self.command, self.nice)

    @property
    def metrics_url(self) -> str | None:
        """Where the metrics of its first process are, if it has any."""
        return next(iter(self.metrics_urls), None)


def check_process(name: str, command: tuple[str, ...], nice: int) -> None:
    """Refuse what could not be started or logged.

    Raises:
        StackError: If the name is no file name, the command is empty or the niceness out of range.
    """
    if not _NAME.fullmatch(name):
        raise StackError(
            f"{name!r} cannot name a process: its log is called after it, so use lower-case "
            "letters, digits, dots, dashes and underscores, beginning with a letter or digit."
        )
    if not command:
        raise StackError(f"{name} has an empty command: give at least the program to run.")
    if not 0 <= nice <= NICEST:
        raise StackError(
            f"{name} has niceness {nice}: use 0 (the lab's own priority) to {NICEST} (the lowest); "
            "less than 0 would need root."
        )
