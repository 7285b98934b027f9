"""The broker of a worker process."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Middleware
from prometheus_client import REGISTRY
from redis import Redis

from offloop.telemetry import serve_metrics
from reports.steps import Step, reached
from workers.queues import Queue
from workers.settings import TierSettings


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


class IdleStep(Middleware):
    """Tell whoever watches the steps of this slot that it is through with a message."""

    def after_ack(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        message: dramatiq.MessageProxy,  # noqa: ARG002
    ) -> None:
        """Say so."""
        reached(Step.IDLE)


def make_broker(settings: TierSettings, *middleware: Middleware) -> RedisBroker:
    """Connect Dramatiq to the tier's queues, with only the middleware that the tier relies on.

    Args:
        settings: Name the server.
        middleware: What one tier needs and another does not.
    """
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        client=Redis.from_url(str(settings.redis_url)),
        middleware=[CurrentMessage(), MetricsServer(), IdleStep(), *middleware],
        heartbeat_timeout=settings.heartbeat_timeout_ms,
    )
    for queue in Queue:
        broker.declare_queue(queue)
    return broker


def current_message_id() -> str:
    """Return the id under which the broker keeps the message that is being worked on."""
    message = CurrentMessage.get_current_message()
    assert message is not None  # noqa: S101 - asked by actors only
    return str(message.options["redis_message_id"])
