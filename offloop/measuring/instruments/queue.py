"""The queues of an arm: how deep they were, how long jobs waited, and how they ran empty."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from statistics import StatisticsError, linear_regression
from typing import NamedTuple, Self

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from offloop.load.log import RequestLog
from offloop.load.records import ReportRow, seconds_between
from offloop.measuring.instruments.instrument import Instrument, RawRow
from offloop.measuring.measure import Better, Kind, Measure, Unit
from offloop.measuring.rows import DONE, Rows
from offloop.measuring.values import Recorded
from offloop.stack.queues import unfinished
from offloop.stack.sampling import SamplingThread

_MS = 1000

#: Of the queues of an arm.
MEASURES = (
    Measure("queue.depth_max", "deepest queue", Unit.COUNT, Kind.MAXIMUM),
    Measure("queue.depth_slope_per_s", "queue grew by, undisturbed", Unit.PER_SECOND, Kind.LEVEL),
    Measure("queue.wait_max_ms", "longest wait, undisturbed", Unit.MS, Kind.MAXIMUM),
    Measure("queue.drain_jobs", "jobs left to drain", Unit.COUNT, Kind.LEVEL, shown=False),
    Measure("queue.drain_ms", "drained after", Unit.MS, Kind.LEVEL, shown=False),
    Measure(
        "queue.drain_per_s",
        "what was left drained by",
        Unit.PER_SECOND,
        Kind.LEVEL,
        Better.HIGHER,
    ),
)

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


class QueueDepth(SamplingThread, Instrument):
    """Counts the jobs of a broker at a fixed interval.

    While the broker does not answer, there are no samples: the depth is unknown, and not 0.

    Args:
        redis_url: The broker; None where there is none, and nothing to count.
        interval_s: Seconds between samples.
    """

    def __init__(self, redis_url: str | None, interval_s: float = INTERVAL_S) -> None:
        self._redis_url = redis_url
        self._interval_s = interval_s
        self._samples: list[DepthSample] = []
        super().__init__("queue-depth")

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

    def measured(self, rows: Rows) -> Recorded:
        """Work out how deep the queues were, how long jobs waited, and how they ran empty."""
        depths = depth_measures(self._samples, rows.log.start_monotonic_s, rows.undisturbed_s)
        return Recorded.of({**depths, **row_measures(rows)})

    def tables(self) -> Mapping[str, Sequence[RawRow]]:
        """Return the samples."""
        return {"depths": self.samples}


def row_measures(rows: Rows) -> dict[str, float | None]:
    """Work out what follows from the jobs' own times; nothing where no job waits in a queue."""
    if not rows.queued:
        return {}
    drained = drain(rows.log.reports)
    return {
        "queue.wait_max_ms": longest_wait_ms(rows.log, rows.undisturbed_s),
        **({} if drained is None else drained.measures()),
    }


def depth_measures(
    samples: Sequence[DepthSample], begin_s: float, undisturbed_s: float
) -> dict[str, float | None]:
    """Work out how deep the queues were, and how fast they grew.

    Args:
        samples: Of one arm.
        begin_s: Second 0 of its load, on CLOCK_MONOTONIC.
        undisturbed_s: Seconds from there until the load ended, or something was done to the
            services: how fast a queue grows means something only while load and slots stay
            as they are.
    """
    since = [(sample.monotonic_s - begin_s, sample.jobs) for sample in samples]
    return {
        "queue.depth_max": max((jobs for _, jobs in since), default=None),
        "queue.depth_slope_per_s": slope([at for at in since if 0 <= at[0] <= undisturbed_s]),
    }


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the straight line that fits best, by least squares.

    None where there are fewer than two moments.
    """
    try:
        return linear_regression(*zip(*points, strict=True)).slope if points else None
    except StatisticsError:
        return None


def longest_wait_ms(log: RequestLog, until_s: float) -> float | None:
    """Return the longest time from accepted to started, of jobs that were started by then.

    Args:
        log: Of one arm.
        until_s: Seconds since second 0 of its load. A job was accepted when its answer came.
    """
    answered = {name: log.of(name) for name in log.names}
    followed = {name: [row for row in log.reports if row.name == name] for name in log.names}
    waits = [
        wait_s
        for name, rows in followed.items()
        # Each followed request has its row among both, in the same order.
        for request, row in zip(answered[name], rows, strict=False)
        if request.done_s is not None
        and (wait_s := seconds_between(row.accepted_at, row.started_at)) is not None
        and request.done_s + wait_s <= until_s
    ]
    return _MS * max(waits) if waits else None


class Drain(NamedTuple):
    """How a queue ran empty.

    Attributes:
        jobs: That were not finished when it began.
        seconds: Until the last of them was.
    """

    jobs: int
    seconds: float

    def measures(self) -> dict[str, float | None]:
        """Name them as measures are."""
        return {
            "queue.drain_jobs": self.jobs,
            "queue.drain_ms": _MS * self.seconds,
            "queue.drain_per_s": self.jobs / self.seconds,
        }


def drain(rows: Iterable[ReportRow]) -> Drain | None:
    """Work out how the jobs that were left when nothing more came were worked off.

    It begins when the last job has been accepted, and as many jobs are being worked on as ever
    were: a slot that was added takes a while to start, which is no matter of how fast slots drain
    a queue. All moments are the jobs' own, by the clock of the machine.

    Returns:
        None where jobs were not finished, or none was left.
    """
    accepted = [row for row in rows if row.job_id is not None]
    if not accepted or any(row.status != DONE for row in accepted):
        return None
    moments = [
        _moments(row.accepted_at, row.started_at, row.finished_at)
        for row in accepted
        if row.accepted_at and row.started_at and row.finished_at
    ]
    if len(moments) < len(accepted):
        return None
    last_s = max(accepted_s for accepted_s, _, _ in moments)
    began_s = max(last_s, _busiest_s([(start_s, end_s) for _, start_s, end_s in moments]))
    left = [end_s for _, _, end_s in moments if end_s > began_s]
    return Drain(len(left), max(left) - began_s) if left else None


def _moments(*texts: str) -> tuple[float, float, float]:
    accepted_s, started_s, finished_s = (datetime.fromisoformat(text).timestamp() for text in texts)
    return accepted_s, started_s, finished_s


def _busiest_s(jobs: Iterable[tuple[float, float]]) -> float:
    """Return the first moment at which as many jobs are being worked on as there ever are."""
    # Where one ends as the next one starts, there is one and not two.
    changes = sorted(change for start, end in jobs for change in ((start, +1), (end, -1)))
    at_work = list(accumulate(change for _, change in changes))
    return changes[at_work.index(max(at_work))][0]


def drain_per_s(ends_s: Iterable[float], slots: int) -> float | None:
    """Return the jobs per second that slots finish which never have to wait for one.

    Args:
        ends_s: When each job of a queue was finished that was full from the start, in any order.
        slots: How many worked on it.

    Returns:
        The rate from when each slot may have finished its first job until the first may find no
        other one; None where too few jobs were between these.
    """
    ends = sorted(ends_s)
    jobs = len(ends) - 2 * slots + 1
    if jobs < 1:
        return None
    seconds = ends[len(ends) - slots] - ends[slots - 1]
    return jobs / seconds if seconds > 0 else None
