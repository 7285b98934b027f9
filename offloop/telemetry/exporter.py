"""Metrics, served from a thread of their own.

Never by the app itself: a blocked event loop could not be asked why.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Self
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app, start_http_server

from offloop.telemetry.settings import LOOPBACK, TelemetrySettings
from offloop.telemetry.windows import windowed

logger = logging.getLogger("offloop.telemetry")


class Exporter:
    """A running metrics server, or none.

    Use as a context manager, or call `close`.

    Attributes:
        port: Where it listens; None if it does not.
    """

    def __init__(self, server: WSGIServer | None, thread: threading.Thread | None) -> None:
        self._server = server
        self._thread = thread
        self.port = server.server_port if server else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving. Blocks for up to half a second; closing twice is fine."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = self.port = None


def serve_metrics(
    port: int | Sequence[int] | None,
    registry: CollectorRegistry = REGISTRY,
    *,
    host: str = LOOPBACK,
) -> Exporter:
    """Serve the metrics of a registry from a thread.

    `?window=` says how many seconds a maximum looks back (`offloop.telemetry.windows`).

    A port that cannot be listened on is logged, not raised: a service without metrics is better
    than no service.

    Args:
        port: Where to listen; None or 0 to serve nothing. Of several, the first that is free: each
            of as many processes finds one, also one that takes another's place.
        registry: What to serve.
        host: Address to listen on.
    """
    ports = [port] if isinstance(port, int) else port or ()
    taken: dict[int, str | None] = {}
    for each in filter(None, ports):
        try:
            server, thread = start_http_server(each, addr=host, registry=registry)
        except OSError as error:
            taken[each] = error.strerror
        else:
            # It serves already: a reader who comes before this line gets the default window.
            server.set_app(windowed(make_wsgi_app(registry)))
            return Exporter(server, thread)
    if taken:
        logger.warning(
            "metrics are not served: %s cannot be listened on (%s). The service goes on without "
            "them; choose another port, or end the process that holds this one",
            ", ".join(f"{host}:{each}" for each in taken),
            ", ".join(sorted({str(reason) for reason in taken.values()})),
        )
    return Exporter(None, None)


def serve_metrics_as_set(registry: CollectorRegistry = REGISTRY) -> Exporter:
    """Serve the metrics of a registry where the environment says (`TelemetrySettings`).

    Raises:
        WrongSettingError: What it says cannot be understood.
    """
    settings = TelemetrySettings.from_environment()
    return serve_metrics(settings.metrics_ports, registry, host=settings.metrics_host)
