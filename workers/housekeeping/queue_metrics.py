"""Metrics of the queues, read from the broker when somebody asks.

What cannot be read is absent. A depth of 0 would say that all is well.
"""

import time
from collections.abc import Iterable, Iterator
from typing import cast

from dramatiq import Message
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from workers.queues import NAMESPACE, Queue
from workers.settings import TierSettings


class QueueMetrics(Collector):
    """Depth of every queue by state, and the age of its oldest message."""

    def __init__(self, settings: TierSettings) -> None:
        deadline_s = settings.broker_deadline_s
        self._redis = Redis.from_url(
            str(settings.redis_url), socket_timeout=deadline_s, socket_connect_timeout=deadline_s
        )

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the metrics without asking the broker."""
        return _messages(), _oldest()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read all queues; nothing at all where the broker does not answer."""
        messages, oldest = _messages(), _oldest()
        try:
            for queue in Queue:
                for state, number in self._depths(queue).items():
                    messages.add_metric([queue, state], number)
                age_s = self._oldest_age_s(queue)
                if age_s is not None:
                    oldest.add_metric([queue], age_s)
        except RedisError:
            return
        yield messages
        yield oldest

    def _depths(self, queue: Queue) -> dict[str, int]:
        key = f"{NAMESPACE}:{queue}"
        with self._redis.pipeline() as pipe:
            pipe.llen(key)
            pipe.hlen(f"{key}.msgs")
            pipe.hlen(f"{key}.DQ.msgs")
            pipe.zcard(f"{key}.XQ")
            ready, held, delayed, dead = pipe.execute()
        # A message stays in the hash until it is acknowledged.
        return {"ready": ready, "unacked": held - ready, "delayed": delayed, "dead": dead}

    def _oldest_age_s(self, queue: Queue) -> float | None:
        """Return the age of the message at the head; None where there is none.

        Approximate: what is put back after a crash goes to the tail, however old it is.
        """
        key = f"{NAMESPACE}:{queue}"
        first = self._redis.lindex(key, 0)
        data = None if first is None else self._redis.hget(f"{key}.msgs", first)
        if data is None:
            return None
        message = Message.decode(cast("bytes", data))  # the client does not decode
        return max(0.0, time.time() - message.message_timestamp / 1000)


def _messages() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_queue_messages", "Messages of a queue, by state.", labels=["queue", "state"]
    )


def _oldest() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_queue_oldest_message_age_seconds",
        "Age of the message at the head of a queue; absent while the queue is empty.",
        labels=["queue"],
    )
