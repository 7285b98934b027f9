"""What the clients of a run see, as metrics: to be laid beside what the server says of itself.

Lives in the process that sends, and only where a person looks on: a scrape takes the processor from
the schedule for a few milliseconds.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from time import monotonic, time

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from offloop.load.log import response_s, service_s, succeeded
from offloop.load.plan import Plan, Stream
from offloop.load.protocol import Progress
from offloop.load.records import RequestRow

#: Seconds; those of the server's own histogram, and then up to where clients give up.
BUCKETS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0),
)


class Phase(StrEnum):
    """A part of a run."""

    SENDING = "sending"
    #: Nothing is due any more, and late answers still count.
    DRAINING = "draining"
    OVER = "over"


class ClientView(Collector):
    """Metrics of all runs of this process, one after the other.

    What is offered and in flight follows from the schedule at the moment of a scrape, so that a
    generator that is late, or a server that does not answer, cannot hide it.
    """

    def __init__(self) -> None:
        late = "One that failed counts until the deadline of the run."
        self._response = prometheus_client.Histogram(
            "offloop_load_response_seconds",
            f"From when a request was due to its answer. {late}",
            labelnames=("name",),
            buckets=BUCKETS_S,
            registry=None,
        )
        self._service = prometheus_client.Histogram(
            "offloop_load_service_seconds",
            f"From when a request was sent to its answer. {late}",
            labelnames=("name",),
            buckets=BUCKETS_S,
            registry=None,
        )
        self._requests = prometheus_client.Counter(
            "offloop_load_requests",
            "Requests that were answered as expected (ok), or otherwise or not at all (failed).",
            labelnames=("name", "outcome"),
            registry=None,
        )
        self._plan: Plan | None = None
        self._start_s: float | None = None
        self._over_s: float | None = None
        # Of all runs so far, the current one not among the offered.
        self._offered: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()

    @contextmanager
    def watching(self, plan: Plan) -> Iterator[None]:
        """Show a run while it goes on; afterwards show what it came to."""
        self._plan, self._start_s, self._over_s = plan, None, None
        for name in plan.names:
            for outcome in ("ok", "failed"):
                self._requests.labels(name, outcome)
        try:
            yield
        finally:
            self._over_s = monotonic()
            self._close(plan)

    def progressed(self, progress: Progress) -> None:
        """A run goes on; the first time tells when it began."""
        self._start_s = progress.start_monotonic_s

    def settled(self, stream: Stream, row: RequestRow) -> None:
        """A request was answered, or cannot be any more."""
        assert self._plan is not None  # noqa: S101 - told by a run that is being watched
        self._settled[stream.name] += 1
        self._requests.labels(stream.name, "ok" if succeeded(row) else "failed").inc()
        # A histogram has a sum, which must stay finite: what never came is as late as can be told.
        latest_s = self._plan.deadline_s - row.due_s
        self._response.labels(stream.name).observe(min(response_s(row), latest_s))
        self._service.labels(stream.name).observe(min(service_s(row), latest_s))

    def describe(self) -> Iterator[Metric]:
        """Name the metrics."""
        for metric in (self._response, self._service, self._requests):
            yield from metric.describe()
        yield from (_offered(), _in_flight(), _phases())

    def collect(self) -> Iterator[Metric]:
        """Read the metrics; what there is of a run begins with it."""
        for metric in (self._response, self._service, self._requests):
            yield from metric.collect()
        offered, in_flight, phases = _offered(), _in_flight(), _phases()
        for name, number in self._offered_by_now().items():
            offered.add_metric([name], number)
            in_flight.add_metric([name], number - self._settled[name])
        for phase, began_s in self._phases().items():
            phases.add_metric([phase], time() - monotonic() + began_s)
        yield from (offered, in_flight, phases)

    def _offered_by_now(self) -> Mapping[str, int]:
        if self._plan is None or self._start_s is None or self._over_s is not None:
            return self._offered
        now_s = monotonic() - self._start_s
        return {
            stream.name: self._offered[stream.name] + bisect_right(stream.due_s, now_s)
            for stream in self._plan.streams
        }

    def _phases(self) -> Mapping[Phase, float]:
        if self._plan is None or self._start_s is None:
            return {}
        began_s = {
            Phase.SENDING: self._start_s,
            Phase.DRAINING: self._start_s + self._plan.duration_s,
            Phase.OVER: self._over_s,
        }
        now_s = monotonic()
        return {
            phase: at_s for phase, at_s in began_s.items() if at_s is not None and at_s <= now_s
        }

    def _close(self, plan: Plan) -> None:
        """Add the run up: what was due and never sent has failed."""
        if self._start_s is None:
            return
        ran_s = monotonic() - self._start_s
        for stream in plan.streams:
            due_s = stream.due_s[: bisect_right(stream.due_s, ran_s)]
            self._offered[stream.name] += len(due_s)
            unsent = self._offered[stream.name] - self._settled[stream.name]
            for at_s in due_s[len(due_s) - unsent :]:
                never = RequestRow(stream.name, at_s, None, None, None, None, "never sent")
                self.settled(stream, never)


def _offered() -> CounterMetricFamily:
    return CounterMetricFamily(
        "offloop_load_offered", "Requests that have become due.", labels=["name"]
    )


def _in_flight() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_load_in_flight", "Requests that are due and not answered.", labels=["name"]
    )


def _phases() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "offloop_load_phase_started_timestamp_seconds",
        "When the phases of the latest run began (Unix time); absent before.",
        labels=["phase"],
    )


#: That of this process.
CLIENT_VIEW = ClientView()
