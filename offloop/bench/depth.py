"""How many jobs are in the queues, over time, by the broker's own count."""

import time
from typing import NamedTuple, Self

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from offloop.stack.queues import unfinished
from offloop.stack.sampling import SamplingThread

#: Seconds between samples: ten or more for each second in which a queue grows by a few jobs.
INTERVAL_S = 0.1

#: Seconds to wait for the broker's count, which takes a fraction of a millisecond.
_TIMEOUT_S = 1.0


class DepthSample(NamedTuple):
    """What was in the queues at one moment.

    Attributes:
        monotonic_s: When (CLOCK_MONOTONIC).
        jobs: Jobs of all queues that are waiting or being worked on.
    """

    monotonic_s: float
    jobs: int


class DepthSampler(SamplingThread):
    """Counts the jobs of a broker at a fixed interval.

    While the broker does not answer there are no samples: nobody knows the depth then, and it is
    not 0.

    Args:
        redis_url: The broker; None where there is none, and nothing to count.
        interval_s: Seconds between samples.
    """

    def __init__(self, redis_url: str | None, interval_s: float = INTERVAL_S) -> None:
        self._redis_url = redis_url
        self._interval_s = interval_s
        self._samples: list[DepthSample] = []
        super().__init__("depth-sampler")

    @property
    def samples(self) -> list[DepthSample]:
        """All samples so far, in order of time."""
        return list(self._samples)

    def __enter__(self) -> Self:
        return self if self._redis_url is None else super().__enter__()

    def _run(self) -> None:
        assert self._redis_url is not None  # noqa: S101 - not started without one
        with Redis.from_url(
            self._redis_url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), retries=0),
        ) as redis:
            while not self._stopping.wait(self._interval_s):
                try:
                    jobs = sum(unfinished(redis).values())
                except RedisError:
                    continue
                self._samples.append(DepthSample(time.monotonic(), jobs))
