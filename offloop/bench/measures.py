"""From one arm's raw data to its measures: pure functions.

A measure is named ``<stream>.<what>_<unit>``. What was not observed is absent, never 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from offloop.bench.depth import DepthSample
from offloop.bench.events import Happened
from offloop.bench.expressions import in_second
from offloop.bench.losses import losses
from offloop.bench.observed import LARGEST_LAG, Observed, observed_measures
from offloop.bench.queueing import depth_measures, drain, longest_wait_ms
from offloop.bench.refusals import refusal_measures
from offloop.bench.usage import cores_used
from offloop.load.log import RequestLog, StreamSummary
from offloop.load.percentiles import nearest_rank
from offloop.load.records import ReportRow
from offloop.stack.sampling import ResourceSample
from offloop.telemetry.loop_monitor import STALL_THRESHOLD_S

_MS = 1000
_US = 1_000_000

_DONE = "done"

_STALLS = "offloop_loop_stalls_total"

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
        taken: Share of the machine's CPU time that others had; None if not known.
        loop: Metrics of the API's processes.
        workers: Metrics of the processes that build reports, the API's where it does; also of those
            that an event ended, as they were right before.
        duration_s: Length of the load, seconds.
        depths: How many jobs there were in the queues.
        retrying: Streams whose clients come back when they are refused.
        observed: What was seen by who scraped the API meanwhile; None if nobody did.
        later: When streams began that did not begin with the load, seconds after it did.
        timeout_s: Seconds after which the API's server kills a worker that gives no sign of life;
            None where it never does.
        workers_killed: How many it has killed for that; None where it never does.
    """

    log: RequestLog
    happened: Sequence[Happened]
    api: str
    queued: bool
    needed: Mapping[str, int]
    samples: Sequence[ResourceSample]
    taken: float | None
    loop: Sequence[Scrape]
    workers: Sequence[Scrape]
    duration_s: float
    depths: Sequence[DepthSample]
    retrying: frozenset[str]
    observed: Observed | None = None
    later: Mapping[str, float] = field(default_factory=dict)
    timeout_s: int | None = None
    workers_killed: int | None = None

    @property
    def undisturbed_until_s(self) -> float:
        """When the first event began, or the load was over, on CLOCK_MONOTONIC."""
        ends_s = [self.duration_s, *(event.at_s for event in self.happened)]
        return self.log.start_monotonic_s + min(ends_s)


def measure(run: ArmRun) -> dict[str, float]:
    """Work out all measures of one arm in one block."""
    found: dict[str, float | None] = {}
    for stream, summary in run.log.summary().items():
        found |= _stream_measures(stream, summary)
    for stream, rows in _by_stream(run.log.reports).items():
        found |= _order_measures(stream, rows, run)
    for event in run.happened:
        found |= _event_measures(event, run)
    for stream, from_s in run.later.items():
        found |= _phase_measures(stream, from_s, run.log)
    found |= _measures_of_seconds(run)
    found |= losses(run.log, run.happened)
    found |= _queue_measures(run)
    for stream in run.retrying:
        found |= refusal_measures(stream, run.log)
    found["jobs.lost"] = _lost(run.log.reports)
    found |= _cpu_measures(run)
    found["api.timeout_ms"] = None if run.timeout_s is None else _MS * run.timeout_s
    found["api.workers_killed"] = run.workers_killed
    found |= _loop_measures(run.loop)
    if run.observed is not None:
        found |= observed_measures(run.observed, run.log)
    found |= _resource_measures(run)
    found["machine.taken_share"] = run.taken
    return {name: value for name, value in found.items() if value is not None}


def _queue_measures(run: ArmRun) -> dict[str, float | None]:
    begin_s = run.log.start_monotonic_s
    undisturbed_s = run.undisturbed_until_s - begin_s
    drained = drain(run.log.reports) if run.queued else None
    return {
        **depth_measures(run.depths, begin_s, undisturbed_s),
        "queue.wait_max_ms": longest_wait_ms(run.log, undisturbed_s) if run.queued else None,
        **({} if drained is None else drained.measures()),
    }


def _event_measures(event: Happened, run: ArmRun) -> dict[str, float | None]:
    before = replace(run.log.due_between(0.0, event.at_s), deadline_s=event.at_s)
    found: dict[str, float | None] = {
        f"{event.id}.at_ms": _MS * event.at_s,
        f"{event.id}.lasted_ms": None if event.lasted_s is None else _MS * event.lasted_s,
        **_phase_measures(event.id, event.at_s, run.log),
    }
    for stream, rows in _by_stream(before.reports).items():
        found |= _order_measures(f"before:{event.id}.{stream}", rows, replace(run, log=before))
    return found


def _phase_measures(name: str, at_s: float, log: RequestLog) -> dict[str, float | None]:
    """Measure plain requests by whether they were due before a moment, or from then on."""
    found: dict[str, float | None] = {}
    orders = {row.name for row in log.reports}
    phases = {
        # Whoever still waited when it came, and got no answer, had waited until then: what happened
        # afterwards is its doing.
        "before": replace(log.due_between(0.0, at_s), deadline_s=at_s),
        "after": log.due_between(at_s, log.deadline_s),
    }
    for phase, part in phases.items():
        for stream, summary in part.summary().items():
            if stream not in orders:
                found |= _stream_measures(f"{phase}:{name}.{stream}", summary)
    return found


def _measures_of_seconds(run: ArmRun) -> dict[str, float | None]:
    """Measure the tails of plain requests by the second in which they were due.

    Of whole seconds, in which nothing is done to the services, nor was before.
    """
    found: dict[str, float | None] = {}
    orders = {row.name for row in run.log.reports}
    undisturbed_s = run.undisturbed_until_s - run.log.start_monotonic_s
    for number in range(int(undisturbed_s)):
        part = run.log.due_between(number, number + 1)
        for stream, summary in part.summary().items():
            if stream not in orders and summary.response_ms and summary.service_ms:
                begin = f"{in_second(number)}{stream}"
                found[f"{begin}.p99_ms"] = summary.response_ms.p99
                found[f"{begin}.service_p99_ms"] = summary.service_ms.p99
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
            f"{stream}.dispatch_lag_p90_ms": summary.dispatch_lag_ms.p90,
            f"{stream}.dispatch_lag_p99_ms": summary.dispatch_lag_ms.p99,
        }
    return measures


def _order_measures(stream: str, rows: Sequence[ReportRow], run: ArmRun) -> dict[str, float | None]:
    times: dict[str, Callable[[ReportRow], float | None]] = {
        "run": run_s,
        "ready": _ready_s,
        "seen": lambda row: None if row.seen_s is None else row.seen_s - row.due_s,
    }
    measures: dict[str, float | None] = {
        f"{stream}.accepted": sum(row.job_id is not None for row in rows),
        f"{stream}.finished": sum(map(_is_done, rows)),
    }
    seen = _all_known(row.seen_s for row in rows)
    measures[f"{stream}.last_seen_ms"] = _MS * max(seen) if seen else None
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
        measures[f"{stream}.wait_max_ms"] = max(waited, default=None)
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
    return sorted(_MS * time for time in _all_known(seconds))


def _loop_measures(loops: Sequence[Scrape]) -> dict[str, float | None]:
    worst = _all_known(map(_worst_lag_s, loops))
    stalls = _all_known(loop.gained(_STALLS) for loop in loops)
    lost = _all_known(loop.gained("offloop_loop_lost_seconds_total") for loop in loops)
    return {
        "loop.lag_max_ms": _MS * max(worst) if worst else None,
        "loop.stalls": sum(stalls) if stalls else None,
        "loop.lost_s": sum(lost) if lost else None,
    }


def _worst_lag_s(loop: Scrape) -> float | None:
    """Return the worst lag of an arm; None where it is not known."""
    worst_s = loop.after.get(LARGEST_LAG)
    if worst_s is None or loop.restarted:
        return None
    # The gauge may remember what was before the arm: a stall that was not counted in it.
    if worst_s >= STALL_THRESHOLD_S and loop.gained(_STALLS) == 0:
        return None
    return worst_s


def _all_known(values: Iterable[float | None]) -> list[float]:
    """Return the values; none at all where one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _resource_measures(run: ArmRun) -> dict[str, float | None]:
    peaks: dict[str, int] = {}
    for sample in run.samples:
        peaks[sample.name] = max(peaks.get(sample.name, 0), sample.rss_bytes)
    return {
        "api.memory_peak_bytes": peaks.get(run.api),
        "stack.processes": sum(run.needed.values()),
        "stack.cores_used": cores_used(run.samples, run.needed, run.undisturbed_until_s),
        # Sums of each process's own peak: at least what all held at any one moment.
        "stack.memory_peak_bytes": _total(peaks, run.needed),
        "lab.memory_peak_bytes": _total(peaks, peaks),
    }


def _total(peaks: Mapping[str, int], names: Iterable[str]) -> int | None:
    found = [peaks.get(name) for name in names]
    known = [peak for peak in found if peak is not None]
    return sum(known) if known and len(known) == len(found) else None


def _cpu_measures(run: ArmRun) -> dict[str, float | None]:
    """Measure the CPU time of a report, of a line, and by that of a report of each stream.

    Arms that finished different reports can be compared by the line only.
    """
    cpu_s = _gained_lately("offloop_report_cpu_seconds_sum", run.workers)
    reports = _gained_lately("offloop_report_cpu_seconds_count", run.workers)
    lines = _gained_lately("offloop_report_lines_total", run.workers)
    line_s = cpu_s / lines if lines else None
    found = {
        "jobs.cpu_s": cpu_s / reports if reports else None,
        "jobs.cpu_us_per_line": None if line_s is None else _US * line_s,
    }
    for stream, rows in _by_stream(run.log.reports).items():
        longest = max((row.rows for row in rows if row.rows is not None), default=None)
        if longest is not None and line_s is not None:
            found[f"{stream}.cpu_ms"] = _MS * longest * line_s
    return found


def _gained_lately(name: str, processes: Sequence[Scrape]) -> float:
    gained = [process.gained_lately(name) for process in processes]
    return sum(value for value in gained if value is not None)
