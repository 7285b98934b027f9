"""From one arm's raw data to its measures: pure functions.

A measure is named ``<stream>.<what>_<unit>``. What was not observed is absent, never 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from offloop.load.log import RequestLog, StreamSummary
from offloop.load.percentiles import nearest_rank
from offloop.load.records import ReportRow
from offloop.stack.sampling import ResourceSample

_MS = 1000

_DONE = "done"


@dataclass(frozen=True)
class Scrape:
    """The metrics of one process before and after an arm: sample name -> value."""

    before: Mapping[str, float]
    after: Mapping[str, float]

    def gained(self, name: str) -> float | None:
        """How much a counter grew during the arm; None unless it was exposed all the time."""
        before, after = self.before.get(name), self.after.get(name)
        return None if before is None or after is None else after - before


@dataclass(frozen=True)
class ArmRun:
    """Everything that was recorded while one arm ran once.

    Attributes:
        log: Every request.
        api: Name of the API's service.
        needed: The services that this way of answering needs, with their numbers of processes.
        samples: Resources of every process of the stack, and of everything else the lab runs.
        steal: Share of the machine's CPU time that its host gave to others; None if not known.
        loop: Metrics of the API's process.
        workers: Metrics of the processes that build reports; the API itself where it does.
    """

    log: RequestLog
    api: str
    needed: Mapping[str, int]
    samples: Sequence[ResourceSample]
    steal: float | None
    loop: Scrape
    workers: Sequence[Scrape]


def measure(run: ArmRun) -> dict[str, float]:
    """Work out all measures of one arm in one block."""
    found: dict[str, float | None] = {}
    for stream, summary in run.log.summary().items():
        found |= _stream_measures(stream, summary)
    found |= _report_measures(run.log.reports, run.log.deadline_s)
    found |= _loop_measures(run.loop)
    found |= _resource_measures(run)
    found["report.cpu_s"] = _cpu_per_report(run.workers)
    found["machine.steal_share"] = run.steal
    return {name: value for name, value in found.items() if value is not None}


def _stream_measures(stream: str, summary: StreamSummary) -> dict[str, float | None]:
    measures: dict[str, float | None] = {
        f"{stream}.offered": summary.offered,
        f"{stream}.sent": summary.sent,
        f"{stream}.answered": summary.answered,
        f"{stream}.failed": summary.failed,
    }
    if summary.response_ms and summary.service_ms and summary.dispatch_lag_ms:
        measures |= {
            f"{stream}.p50_ms": summary.response_ms.p50,
            f"{stream}.p95_ms": summary.response_ms.p95,
            f"{stream}.p99_ms": summary.response_ms.p99,
            f"{stream}.max_ms": summary.response_ms.max,
            f"{stream}.service_p50_ms": summary.service_ms.p50,
            f"{stream}.service_p99_ms": summary.service_ms.p99,
            f"{stream}.dispatch_lag_p99_ms": summary.dispatch_lag_ms.p99,
        }
    return measures


def _report_measures(reports: Sequence[ReportRow], deadline_s: float) -> dict[str, float | None]:
    if not reports:
        return {}
    ready = _sorted_ms(_ready_s(row, deadline_s) for row in reports)
    seen = _sorted_ms(_seen_s(row, deadline_s) for row in reports)
    return {
        "report.finished": sum(row.status == _DONE for row in reports),
        "report.ready_p50_ms": nearest_rank(ready, 50),
        "report.ready_p95_ms": nearest_rank(ready, 95),
        "report.seen_p50_ms": nearest_rank(seen, 50),
        "report.seen_p95_ms": nearest_rank(seen, 95),
        "jobs.lost": sum(row.job_id is not None and row.status != _DONE for row in reports),
    }


# A report that was not finished counts as the deadline, as a request does that got no answer: the
# percentiles of those that were finished would be the better the more were not.


def _ready_s(row: ReportRow, deadline_s: float) -> float | None:
    if row.status != _DONE:
        return deadline_s - row.due_s
    if not (row.accepted_at and row.finished_at):
        return None
    accepted, finished = map(datetime.fromisoformat, (row.accepted_at, row.finished_at))
    return (finished - accepted).total_seconds()


def _seen_s(row: ReportRow, deadline_s: float) -> float | None:
    if row.status != _DONE:
        return deadline_s - row.due_s
    return None if row.seen_s is None else row.seen_s - row.due_s


def _sorted_ms(seconds: Iterable[float | None]) -> list[float]:
    """Sort times; none at all where one is not known."""
    times = list(seconds)
    known = sorted(_MS * time for time in times if time is not None)
    return known if len(known) == len(times) else []


def _loop_measures(loop: Scrape) -> dict[str, float | None]:
    worst = loop.after.get("offloop_loop_lag_max_seconds")
    lost = loop.gained("offloop_loop_lost_seconds_total")
    return {
        "loop.lag_max_ms": None if worst is None else _MS * worst,
        "loop.stalls": loop.gained("offloop_loop_stalls_total"),
        "loop.lost_s": lost,
    }


def _resource_measures(run: ArmRun) -> dict[str, float | None]:
    peaks: dict[str, int] = {}
    for sample in run.samples:
        peaks[sample.name] = max(peaks.get(sample.name, 0), sample.rss_bytes)
    return {
        "api.memory_peak_bytes": peaks.get(run.api),
        "stack.processes": sum(run.needed.values()),
        # Sums of each process's own peak: at least what all held at any one moment.
        "stack.memory_peak_bytes": _total(peaks, run.needed),
        "lab.memory_peak_bytes": _total(peaks, peaks),
    }


def _total(peaks: Mapping[str, int], names: Iterable[str]) -> int | None:
    found = [peaks.get(name) for name in names]
    known = [peak for peak in found if peak is not None]
    return sum(known) if known and len(known) == len(found) else None


def _cpu_per_report(workers: Sequence[Scrape]) -> float | None:
    seconds = [worker.gained("offloop_report_cpu_seconds_sum") for worker in workers]
    reports = [worker.gained("offloop_report_cpu_seconds_count") for worker in workers]
    total_s = sum(value for value in seconds if value is not None)
    count = sum(value for value in reports if value is not None)
    return total_s / count if count else None
