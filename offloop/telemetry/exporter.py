"""Metrics, served from a thread of their own.

Never by the app itself: a blocked event loop could not be asked why.
"""

import logging
import threading
from typing import Self
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

ADDRESS = "127.0.0.1"

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


def serve_metrics(port: int | None, registry: CollectorRegistry = REGISTRY) -> Exporter:
    """Serve the metrics of a registry on loopback, from a thread.

    A port that cannot be listened on is logged, not raised: a service without metrics is better
    than no service.

    Args:
        port: Where to listen; None or 0 to serve nothing.
        registry: What to serve.
    """
    if not port:
        return Exporter(None, None)
    try:
        server, thread = start_http_server(port, addr=ADDRESS, registry=registry)
    except OSError as error:
        logger.warning(
            "metrics are not served: %s:%d cannot be listened on (%s). The service goes on without "
            "them; choose another port, or end the process that holds this one",
            ADDRESS,
            port,
            error.strerror,
        )
        return Exporter(None, None)
    return Exporter(server, thread)
