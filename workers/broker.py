"""The broker of a worker process."""

import logging
import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, ShutdownNotifications
from prometheus_client import REGISTRY
from redis import Redis

from offloop.telemetry import serve_metrics
from workers.settings import TierSettings

_log = logging.getLogger(__name__)


class MetricsServer(Middleware):
    """Serve this process's metrics from a thread, once the worker is ready for messages."""

    def after_worker_boot(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        worker: dramatiq.Worker,  # noqa: ARG002
    ) -> None:
        """Start serving; an answer on the port also tells a supervisor that the worker is up."""
        port = int(os.environ.get("OFFLOOP_METRICS_PORT", "0"))
        if port:
            serve_metrics(port, registry=REGISTRY)


def make_broker(settings: TierSettings) -> RedisBroker:
    """Connect Dramatiq to the tier's queues, with only the middleware that the tier relies on."""
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=Redis.from_url(str(settings.redis_url)),
        middleware=[ShutdownNotifications(), MetricsServer()],
        heartbeat_timeout=settings.heartbeat_timeout_ms,
    )
