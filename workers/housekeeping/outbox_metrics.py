"""How many callbacks wait in the outbox, read from the broker when somebody asks.

What cannot be read is absent: 0 would say that all were delivered.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from workers.housekeeping.asking import client_for_metrics
from workers.records import OUTBOX_KEY
from workers.settings import TierSettings


class OutboxMetrics(Collector):
    """The number of callbacks that have not been delivered or given up."""

    def __init__(self, settings: TierSettings) -> None:
        self._redis = client_for_metrics(settings.records_url)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the metric without asking the broker."""
        return [_pending()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count them; nothing at all where the broker does not answer."""
        pending = _pending()
        try:
            pending.add_metric([], self._redis.zcard(OUTBOX_KEY))
        except RedisError:
            return
        yield pending


def _pending() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_callbacks_pending", "Callbacks that have not been delivered or given up."
    )
