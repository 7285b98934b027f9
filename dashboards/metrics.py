"""Every metric that a query or a rule may name, with its labels.

The one list there is: queries are built from it, a test compares it with what the code registers,
and another one with what Prometheus has scraped from a lab that was running.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Types of metrics; what a metric's series are called depends on it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


#: Ends of the names of series, by the type of their metric.
_SUFFIXES: Mapping[Kind, tuple[str, ...]] = {
    Kind.COUNTER: ("",),
    Kind.GAUGE: ("",),
    Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
    Kind.SUMMARY: ("_sum", "_count"),
}

#: Labels that every series has: those that Prometheus gives to what it scrapes (its `job`, and
#: where from), and those that our configuration adds. `side` is naive or fixed; workers,
#: housekeeping and load have the side that they belong to.
TARGET_LABELS = frozenset({"job", "instance", "side"})

#: Label of workers only: the queues they serve, by the name of the pool.
POOL = "pool"


@dataclass(frozen=True)
class Metric:
    """A metric as its endpoint describes it.

    Attributes:
        name: Of the metric; a counter's ends in ``_total``.
        kind: Its type.
        labels: Its own, without those of the target.
        jobs: Which scrape jobs have it.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    jobs: tuple[str, ...]

    @property
    def series(self) -> Mapping[str, frozenset[str]]:
        """The names that its series have, with the labels of each."""
        pool = {POOL} if "worker" in self.jobs else set()
        labels = TARGET_LABELS | set(self.labels) | pool
        return {
            self.name + suffix: labels | ({"le"} if suffix == "_bucket" else set())
            for suffix in _SUFFIXES[self.kind]
        }


_API = ("naive", "fixed")
_EVERY = (*_API, "worker", "housekeeping", "load")

METRICS = (
    # The loop and its threads, from `offloop.telemetry`.
    Metric("offloop_loop_lag_seconds", Kind.HISTOGRAM, (), _API),
    Metric("offloop_loop_lag_max_seconds", Kind.GAUGE, (), _API),
    Metric("offloop_loop_stalls_total", Kind.COUNTER, (), _API),
    Metric("offloop_loop_lost_seconds_total", Kind.COUNTER, (), _API),
    Metric(
        "offloop_loop_stall_seconds",
        Kind.SUMMARY,
        ("cause", "file", "function", "endpoint"),
        _API,
    ),
    Metric("offloop_threadpool_tokens", Kind.GAUGE, ("state",), _API),
    Metric("offloop_threadpool_waiting", Kind.GAUGE, (), _API),
    # Requests, as the server sees them: from when the loop took them up.
    Metric(
        "http_server_request_duration_seconds",
        Kind.HISTOGRAM,
        ("http_request_method", "http_route", "http_response_status_code"),
        _API,
    ),
    Metric("http_server_active_requests", Kind.GAUGE, ("http_request_method", "http_route"), _API),
    # Jobs, from when they are ordered to when they have ended.
    Metric("offloop_jobs_accepted_total", Kind.COUNTER, ("queue",), ("fixed",)),
    Metric("offloop_jobs_rejected_total", Kind.COUNTER, ("queue", "reason"), ("fixed",)),
    Metric(
        "offloop_jobs_finished_total",
        Kind.COUNTER,
        ("actor", "queue", "outcome", "error"),
        ("worker",),
    ),
    Metric("offloop_job_wait_seconds", Kind.HISTOGRAM, ("actor", "queue"), ("worker",)),
    Metric("offloop_job_run_seconds", Kind.HISTOGRAM, ("actor", "queue"), ("worker",)),
    Metric("offloop_jobs_in_progress", Kind.GAUGE, ("queue",), ("worker",)),
    Metric("offloop_report_cpu_seconds", Kind.SUMMARY, (), ("naive", "worker")),
    Metric("offloop_report_lines_total", Kind.COUNTER, (), ("naive", "worker")),
    # Queues, as housekeeping reads them from the broker.
    Metric("offloop_broker_up", Kind.GAUGE, (), ("housekeeping",)),
    Metric("offloop_queue_messages", Kind.GAUGE, ("queue", "state"), ("housekeeping",)),
    Metric("offloop_queue_oldest_message_age_seconds", Kind.GAUGE, ("queue",), ("housekeeping",)),
    Metric("offloop_queue_jobs_open", Kind.GAUGE, ("queue",), ("housekeeping",)),
    Metric("offloop_queue_limit_jobs", Kind.GAUGE, ("queue",), ("housekeeping",)),
    Metric("offloop_worker_slots", Kind.GAUGE, ("queue",), ("housekeeping",)),
    Metric("offloop_callbacks_total", Kind.COUNTER, ("outcome",), ("housekeeping",)),
    Metric("offloop_callbacks_pending", Kind.GAUGE, (), ("housekeeping",)),
    # The client, from the load generator.
    Metric("offloop_load_response_seconds", Kind.HISTOGRAM, ("name",), ("load",)),
    Metric("offloop_load_service_seconds", Kind.HISTOGRAM, ("name",), ("load",)),
    Metric("offloop_load_requests_total", Kind.COUNTER, ("name", "outcome"), ("load",)),
    Metric("offloop_load_offered_total", Kind.COUNTER, ("name",), ("load",)),
    Metric("offloop_load_in_flight", Kind.GAUGE, ("name",), ("load",)),
    Metric("offloop_load_phase_started_timestamp_seconds", Kind.GAUGE, ("phase",), ("load",)),
    # Processes, from prometheus-client, and Prometheus's own.
    Metric("process_cpu_seconds_total", Kind.COUNTER, (), _EVERY),
    Metric("process_resident_memory_bytes", Kind.GAUGE, (), _EVERY),
    Metric("up", Kind.GAUGE, (), _EVERY),
    Metric("ALERTS", Kind.GAUGE, ("alertname", "alertstate", "queue"), ()),
)

#: Names of series, and the labels of each.
SERIES: Mapping[str, frozenset[str]] = {
    name: labels for metric in METRICS for name, labels in metric.series.items()
}
