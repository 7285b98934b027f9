"""From one arm's raw data to its measures: pure functions.

A measure is named ``<stream>.<what>_<unit>``. What was not observed is absent, never 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from offloop.bench.events import Happened
from offloop.load.log import RequestLog, StreamSummary
from offloop.load.percentiles import nearest_rank
from offloop.load.records import ReportRow
from offloop.stack.sampling import ResourceSample

_MS = 1000

_DONE = "done"

#: When a process was started.
_STARTED = "process_start_time_seconds"


@dataclass(frozen=True)
class Scrape:
    """The metrics of one process before and after an arm: sample name -> value."""

    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def restarted(self) -> bool:
        """Whether it is another process that was asked afterwards."""
        return self.before.get(_STARTED) != self.after.get(_STARTED)

    def gained(self, name: str) -> float | None:
        """How much a counter grew during the arm; None unless one process exposed it all along."""
        before, after = self.before.get(name), self.after.get(name)
        if before is None or after is None or self.restarted:
            return None
        return after - before

    def gained_lately(self, name: str) -> float | None:
        """How much it grew in the process that was there in the end; None if it was not exposed."""
        return self.after.get(name) if self.restarted else self.gained(name)


@dataclass(frozen=True)
class ArmRun:
    """Everything that was recorded while one arm ran once.

    Attributes:
        log: Every request.
        happened: What was done to the services meanwhile.
        api: Name of the API's service.
        queued: Whether reports wait in a queue before a worker builds them.
        needed: The services that this way of answering needs, with their numbers of processes.
        samples: Resources of every process of the stack, and of everything else the lab runs.
        steal: Share of the machine's CPU time that its host gave to others; None if not known.
        loop: Metrics of the API's process.
        workers: Metrics of the processes that build reports; the API itself where it does.
    """

    log: RequestLog
    happened: Sequence[Happened]
    api: str
    queued: bool
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
    for stream, rows in _by_stream(run.log.reports).items():
        found |= _order_measures(stream, rows, run)
    for event in run.happened:
        found |= _event_measures(event, run.log)
    found["jobs.lost"] = _lost(run.log.reports)
    found["jobs.cpu_s"] = _cpu_per_report(run.workers)
    found |= _loop_measures(run.loop)
    found |= _resource_measures(run)
    found["machine.steal_share"] = run.steal
    return {name: value for name, value in found.items() if value is not None}


def _event_measures(event: Happened, log: RequestLog) -> dict[str, float | None]:
    """Measure plain requests by whether they were due before an event, or from then on."""
    found: dict[str, float | None] = {
        f"{event.id}.at_ms": _MS * event.at_s,
        f"{event.id}.lasted_ms": None if event.lasted_s is None else _MS * event.lasted_s,
    }
    orders = {row.name for row in log.reports}
    phases = {
        "before": log.due_between(0.0, event.at_s),
        "after": log.due_between(event.at_s, log.deadline_s),
    }
    for phase, part in phases.items():
        for stream, summary in part.summary().items():
            if stream not in orders:
                found |= _stream_measures(f"{phase}:{event.id}.{stream}", summary)
    return found


def _by_stream(rows: Iterable[ReportRow]) -> dict[str, list[ReportRow]]:
    found: dict[str, list[ReportRow]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(row)
    return found


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


def _order_measures(stream: str, rows: Sequence[ReportRow], run: ArmRun) -> dict[str, float | None]:
    times: dict[str, Callable[[ReportRow], float | None]] = {
        "run": run_s,
        "ready": _ready_s,
        "seen": lambda row: None if row.seen_s is None else row.seen_s - row.due_s,
    }
    measures: dict[str, float | None] = {f"{stream}.finished": sum(map(_is_done, rows))}
    for what, time_s in times.items():
        ended = _sorted_ms(
            time_s(row) if _is_done(row) else _until_deadline_s(row, run) for row in rows
        )
        measures |= _middle_and_tail(f"{stream}.{what}", ended)
    if run.queued:
        # Also of a report that is still being built it is known how long it had to wait.
        waited = _sorted_ms(
            _wait_s(row) if row.started_at or _is_done(row) else _until_deadline_s(row, run)
            for row in rows
        )
        measures |= _middle_and_tail(f"{stream}.wait", waited)
    return measures


def _middle_and_tail(name: str, times_ms: Sequence[float]) -> dict[str, float | None]:
    return {f"{name}_p{percent}_ms": nearest_rank(times_ms, percent) for percent in (50, 95)}


def _lost(rows: Sequence[ReportRow]) -> float | None:
    if not rows:
        return None
    return sum(row.job_id is not None and not _is_done(row) for row in rows)


def _is_done(row: ReportRow) -> bool:
    return row.status == _DONE


def _until_deadline_s(row: ReportRow, run: ArmRun) -> float:
    """Return the time of what had not happened when the generator stopped waiting.

    It counts as the deadline, as a request does that got no answer: the percentiles of those that
    were finished would be the better the more were not.
    """
    return run.log.deadline_s - row.due_s


def run_s(row: ReportRow) -> float | None:
    """Return the seconds that a report was worked on, by its own times; None if not known."""
    return _seconds(row.started_at, row.finished_at)


def _wait_s(row: ReportRow) -> float | None:
    return _seconds(row.accepted_at, row.started_at)


def _ready_s(row: ReportRow) -> float | None:
    return _seconds(row.accepted_at, row.finished_at)


def _seconds(begin: str | None, end: str | None) -> float | None:
    if not (begin and end):
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _sorted_ms(seconds: Iterable[float | None]) -> list[float]:
    """Sort times; none at all where one is not known."""
    times = list(seconds)
    known = sorted(_MS * time for time in times if time is not None)
    return known if len(known) == len(times) else []


def _loop_measures(loop: Scrape) -> dict[str, float | None]:
    # The worst lag of a process that was ended is not known.
    worst = None if loop.restarted else loop.after.get("offloop_loop_lag_max_seconds")
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
    seconds = [worker.gained_lately("offloop_report_cpu_seconds_sum") for worker in workers]
    reports = [worker.gained_lately("offloop_report_cpu_seconds_count") for worker in workers]
    total_s = sum(value for value in seconds if value is not None)
    count = sum(value for value in reports if value is not None)
    return total_s / count if count else None
