"""How busy the threads are in which sync endpoints, dependencies and file reads run."""

from collections.abc import Iterator

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class ThreadpoolMetrics(Collector):
    """Occupancy of AnyIO's thread pool of one event loop, which Starlette and FastAPI use.

    Make it in the loop's thread; metrics are collected in another.

    Args:
        limiter: Whose tokens to count; the running loop's default if it is not given.
    """

    def __init__(self, limiter: CapacityLimiter | None = None) -> None:
        self._limiter = limiter or current_default_thread_limiter()

    def describe(self) -> Iterator[Metric]:
        """Name the metrics."""
        yield from (_tokens(), _waiting())

    def collect(self) -> Iterator[Metric]:
        """Read the metrics; nothing where the pool changes too fast to be read."""
        try:
            seen = self._limiter.statistics()
        except RuntimeError:  # it was changed by the loop's thread while it was copied
            return
        tokens, waiting = _tokens(), _waiting()
        tokens.add_metric(["used"], seen.borrowed_tokens)
        tokens.add_metric(["total"], seen.total_tokens)
        waiting.add_metric([], seen.tasks_waiting)
        yield tokens
        yield waiting


def _tokens() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_threadpool_tokens",
        "Threads of AnyIO's pool: those that are used, and those that may be used at once.",
        labels=["state"],
    )


def _waiting() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_threadpool_waiting", "Calls that wait for a thread of AnyIO's pool."
    )
