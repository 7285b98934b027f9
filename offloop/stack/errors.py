"""What can go wrong while starting, watching and stopping processes."""

from offloop.errors import OffloopError


class StackError(OffloopError):
    """Base of every error this package raises; the message ends with what to do next."""


class PortTaken(StackError):  # noqa: N818 - named for what happened, like ServiceDied
    """The port a service was told to listen on already has a listener."""

    def __init__(self, service: str, port: int) -> None:
        super().__init__(
            f"{service} cannot listen on 127.0.0.1:{port}: the port is already in use. "
            f"End the process that holds it (see `lsof -iTCP:{port} -sTCP:LISTEN`), "
            f"or give {service} another port."
        )
        self.service = service
        self.port = port


class ServiceEnded(StackError):  # noqa: N818 - named for what happened
    """A service is not running although it should be.

    Attributes:
        service: Name of the service.
        status: How it ended, in words, or None if it is still running.
        log_tail: The last lines of its log.
    """

    def __init__(self, service: str, what: str, *, status: str | None, log_tail: str) -> None:
        end = log_tail or "(the log is empty)"
        super().__init__(f"{service} {what}. The end of its log:\n{end}")
        self.service = service
        self.status = status
        self.log_tail = log_tail


class ServiceFailed(ServiceEnded):
    """A service ended, or was not ready in time, while it was being started."""


class ServiceDied(ServiceEnded):
    """A service that was ready ended without being asked to."""
