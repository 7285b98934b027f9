"""The broker of a worker process."""

import gc
from collections.abc import Callable, Iterable, Sequence

import dramatiq
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Middleware
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from offloop import telemetry
from reports.failpoints import Failpoint, reached
from workers.attempts import Delivery
from workers.job_logs import JobLogs
from workers.job_metrics import JobMetrics
from workers.queues import Queue, slot_name
from workers.settings import TierSettings


class MetricsServer(Middleware):
    """Serve this process's metrics from a thread, once the worker is ready for messages."""

    def after_worker_boot(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        worker: dramatiq.Worker,  # noqa: ARG002
    ) -> None:
        """Start serving; an answer on the port also tells a supervisor that the worker is up."""
        telemetry.serve_metrics_as_set()


class FrozenStart(Middleware):
    """Keeps out of garbage collections what was loaded before the first message, as the apps do."""

    def before_worker_boot(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        worker: dramatiq.Worker,  # noqa: ARG002
    ) -> None:
        """Freeze it: every seventh short report took half as long again, to walk all of it."""
        gc.collect()
        gc.freeze()


class SlotName(Middleware):
    """Lets the slot go by a name that says what queues it serves."""

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Name it."""
        assert isinstance(broker, TierBroker)  # noqa: S101 - made for no other
        broker.serve(worker.consumer_whitelist or Queue)


class IdleStep(Middleware):
    """Tell whoever watches the steps of this slot that it is through with a message."""

    def after_ack(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        message: dramatiq.MessageProxy,  # noqa: ARG002
    ) -> None:
        """Say so."""
        reached(Failpoint.IDLE)


class TierBroker(RedisBroker):
    """Dramatiq's broker, without the two ways in which a slot that lives holds a message for ever.

    The server may have carried out a command whose answer never came. Of a *fetch*, the message
    then belongs to a slot that does not know of it, and would be given to another one only if this
    slot died. So whoever has lost the broker comes back under another name, and the old one dies
    within the heartbeat's time. What is in hand is delivered again as well: the fence is for that.

    Of an *acknowledgement*, Dramatiq asks again after a broken connection, but gives up after a
    timeout. To us they are the same.
    """

    def __init__(self, settings: TierSettings, middleware: Sequence[Middleware]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=Redis.from_url(
                str(settings.redis_url),
                # A fetch that is repeated behind our back would be the first way, unnoticed.
                retry=Retry(NoBackoff(), retries=0),
            ),
            middleware=middleware,
            heartbeat_timeout=settings.heartbeat_timeout_ms,
        )
        self._consumed: set[str] = set()
        self._queues: tuple[str, ...] = ()

    def serve(self, queues: Iterable[str]) -> None:
        """Take a name that says what queues are served (`workers.queues.slot_name`)."""
        self._queues = tuple(queues)
        self.broker_id = slot_name(self._queues)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Begin to fetch, or begin again after the broker was lost."""
        if queue_name in self._consumed:
            self.broker_id = slot_name(self._queues)
        self._consumed.add(queue_name)
        return super().consume(queue_name, prefetch, timeout)

    def _dispatch(self, command: str) -> Callable[..., object]:
        ask: Callable[..., object] = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def dispatch(*args: object) -> object:
            try:
                return ask(*args)
            except RedisTimeoutError as error:
                raise RedisConnectionError(f"{command}: {error}") from error

        return dispatch


def make_broker(settings: TierSettings, *middleware: Middleware) -> TierBroker:
    """Connect Dramatiq to the tier's queues, with only the middleware that the tier relies on.

    Args:
        settings: Name the server.
        middleware: What one tier needs and another does not.
    """
    telemetry.logs.configure()
    common = (
        *(CurrentMessage(), JobLogs(), JobMetrics(), SlotName()),
        *(FrozenStart(), MetricsServer(), IdleStep()),
    )
    broker = TierBroker(settings, [*common, *middleware])
    for queue in Queue:
        broker.declare_queue(queue)
    return broker


def current_delivery(broker: TierBroker) -> Delivery:
    """Return the message that is being worked on."""
    message = CurrentMessage.get_current_message()
    assert message is not None  # noqa: S101 - asked by actors only
    return Delivery(str(message.options["redis_message_id"]), broker.broker_id)
