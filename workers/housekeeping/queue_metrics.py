"""Metrics of the queues, read from the broker when somebody asks.

What cannot be read is absent. A depth of 0 would say that all is well.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from dramatiq import Message
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from workers.housekeeping.asking import client_for_metrics
from workers.queues import HEARTBEATS_KEY, Queue, queue_key, queues_of
from workers.records import open_key
from workers.settings import TierSettings


class QueueMetrics(Collector):
    """What there is in every queue, and how many slots serve it."""

    def __init__(self, settings: TierSettings) -> None:
        self._queues = client_for_metrics(str(settings.redis_url))
        self._records = client_for_metrics(settings.records_url)
        self._limit = settings.queue_limit
        self._silence_ms = settings.heartbeat_timeout_ms

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the metrics without asking the broker."""
        yield from _Families().all

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read all queues; only that they cannot be read where the broker does not answer."""
        read = _Families()
        try:
            self._read(read)
        except RedisError:
            read = _Families()
            read.up.add_metric([], 0)
        else:
            read.up.add_metric([], 1)
        for queue in Queue:
            read.limit.add_metric([queue], self._limit)
        # One without a sample is as good as absent.
        yield from read.all

    def _read(self, into: "_Families") -> None:
        slots = [queues_of(slot) for slot in self._living()]
        for queue in Queue:
            for state, number in self._depths(queue).items():
                into.messages.add_metric([queue, state], number)
            age_s = self._oldest_age_s(queue)
            if age_s is not None:
                into.oldest.add_metric([queue], age_s)
            into.open.add_metric([queue], self._records.scard(open_key(queue)))
            into.slots.add_metric([queue], sum(queue in served for served in slots))

    def _living(self) -> list[str]:
        """Return the names of all who have spoken to the broker lately, slots and others."""
        since_ms = time.time() * 1000 - self._silence_ms
        names = self._queues.zrange(HEARTBEATS_KEY, since_ms, "+inf", byscore=True)
        return [name.decode() for name in cast("list[bytes]", names)]

    def _depths(self, queue: Queue) -> dict[str, int]:
        key = queue_key(queue)
        with self._queues.pipeline() as pipe:
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
        key = queue_key(queue)
        first = self._queues.lindex(key, 0)
        data = None if first is None else self._queues.hget(f"{key}.msgs", first)
        if data is None:
            return None
        message = Message.decode(cast("bytes", data))  # the client does not decode
        return max(0.0, time.time() - message.message_timestamp / 1000)


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)


@dataclass
class _Families:
    """The metrics, still without values."""

    up: GaugeMetricFamily = field(
        default_factory=lambda: _gauge(
            "offloop_broker_up", "Whether the broker could be asked just now: 1, or 0."
        )
    )
    messages: GaugeMetricFamily = field(
        default_factory=lambda: _gauge(
            "offloop_queue_messages", "Messages of a queue, by state.", "queue", "state"
        )
    )
    oldest: GaugeMetricFamily = field(
        default_factory=lambda: _gauge(
            "offloop_queue_oldest_message_age_seconds",
            "Age of the message at the head of a queue; absent while the queue is empty.",
            "queue",
        )
    )
    open: GaugeMetricFamily = field(
        default_factory=lambda: _gauge(
            "offloop_queue_jobs_open",
            "Jobs of a queue that have not come to an end, those that wait for another attempt "
            "included.",
            "queue",
        )
    )
    limit: GaugeMetricFamily = field(
        default_factory=lambda: _gauge(
            "offloop_queue_limit_jobs",
            "Jobs that may be open in a queue before orders are refused.",
            "queue",
        )
    )
    slots: GaugeMetricFamily = field(
        default_factory=lambda: _gauge(
            "offloop_worker_slots", "Slots that serve a queue and have a heartbeat.", "queue"
        )
    )

    @property
    def all(self) -> tuple[GaugeMetricFamily, ...]:
        return (self.up, self.messages, self.oldest, self.open, self.limit, self.slots)
