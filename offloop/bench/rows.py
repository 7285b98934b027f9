"""What the raw rows of one arm come to: pure functions.

Everything here can be worked out again from what a run has kept, and a test does so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from offloop.bench.events import Happened
from offloop.bench.losses import losses
from offloop.bench.queueing import drain, longest_wait_ms
from offloop.bench.refusals import refusal_samples
from offloop.load.log import RequestLog, dispatch_lag_s, response_s, service_s, succeeded
from offloop.load.records import ReportRow, RequestRow
from offloop.measuring.expressions import second_of
from offloop.measuring.values import NEVER, Recorded, Sample, sample

_MS = 1000

_DONE = "done"

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Rows:
    """Every request of one arm in one block, and what was done to its services meanwhile.

    Attributes:
        log: Every request.
        happened: What was done to the services.
        queued: Whether reports wait in a queue before a worker builds them.
        duration_s: Length of the load, seconds.
        retrying: Streams whose clients come back when they are refused.
        later: When streams began that did not begin with the load, seconds after it did.
    """

    log: RequestLog
    happened: Sequence[Happened]
    queued: bool
    duration_s: float
    retrying: frozenset[str] = frozenset()
    later: Mapping[str, float] = field(default_factory=dict)

    @property
    def orders(self) -> frozenset[str]:
        """The streams whose reports were followed."""
        return frozenset(row.name for row in self.log.reports)

    @property
    def undisturbed_s(self) -> float:
        """Seconds until the first event began, or the load was over."""
        return min([self.duration_s, *(event.at_s for event in self.happened)])


def recorded(rows: Rows) -> Recorded:
    """Work out the numbers and samples that follow from the rows."""
    numbers: dict[str, float | None] = {}
    samples: dict[str, Sample | None] = {}
    for stream in rows.log.names:
        of_stream = _of_requests(stream, rows.log.of(stream))
        numbers |= of_stream.numbers
        samples |= of_stream.samples
    for stream, reports in by_stream(rows.log.reports).items():
        of_stream = _of_orders(stream, reports, queued=rows.queued)
        numbers |= of_stream.numbers
        samples |= of_stream.samples
    for part in _parts(rows):
        numbers |= part.numbers
        samples |= part.samples
    for stream in sorted(rows.retrying):
        found = refusal_samples(stream, rows.log)
        numbers |= found.numbers
        samples |= found.samples
    for event in rows.happened:
        numbers[f"{event.id}.at_ms"] = _MS * event.at_s
        numbers[f"{event.id}.lasted_ms"] = None if event.lasted_s is None else _MS * event.lasted_s
    numbers |= losses(rows.log, rows.happened)
    numbers["jobs.lost"] = _lost(rows.log.reports)
    if rows.queued:
        numbers["queue.wait_max_ms"] = longest_wait_ms(rows.log, rows.undisturbed_s)
        drained = drain(rows.log.reports)
        numbers |= {} if drained is None else drained.measures()
    return Recorded(
        {name: value for name, value in numbers.items() if value is not None},
        {name: times for name, times in samples.items() if times is not None},
    )


def _parts(rows: Rows) -> Iterable[Recorded]:
    """Yield what there is of the times before and after each moment, and of each second."""
    plain = [name for name in rows.log.names if name not in rows.orders]
    moments = {event.id: event.at_s for event in rows.happened} | dict(rows.later)
    for moment, at_s in moments.items():
        for stream in plain:
            requests = rows.log.of(stream)
            before = _settled([(row.due_s, _end_s(row), row) for row in requests], at_s)
            yield _of_requests(f"before:{moment}.{stream}", before)
            after = [row for row in requests if row.due_s >= at_s]
            yield _of_requests(f"after:{moment}.{stream}", after)
    for event in rows.happened:
        for stream, reports in by_stream(rows.log.reports).items():
            ends = [
                (row.due_s, NEVER if row.seen_s is None else row.seen_s, row) for row in reports
            ]
            before_it = _settled(ends, event.at_s)
            yield _of_orders(f"before:{event.id}.{stream}", before_it, queued=rows.queued)
            answers = [(row.due_s, _end_s(row), row) for row in rows.log.of(stream)]
            yield _of_requests(f"before:{event.id}.{stream}", _settled(answers, event.at_s))
    for number in range(int(rows.undisturbed_s)):
        for stream in plain:
            part = [row for row in rows.log.of(stream) if number <= row.due_s < number + 1]
            found = _of_requests(second_of(number, stream), part)
            yield Recorded(samples=found.samples)


def _settled(rows: Sequence[tuple[float, float, _Row]], at_s: float) -> list[_Row]:
    """Keep what was due before the first that an event found without an answer.

    What it cut off had waited for a time that says little, and what came after that waited for the
    same reason. So what is kept was not touched by the event, and none of it is left out for having
    taken long. The log has no time for a request that failed without an answer: it counts as cut
    off. `STREAM.failed`, of the whole load, counts it.

    Args:
        rows: When each was due and when it had its answer, and its row; by the first.
        at_s: When the event began.
    """
    cut_s = min((due_s for due_s, end_s, _ in rows if due_s < at_s <= end_s), default=at_s)
    return [row for due_s, _, row in rows if due_s < cut_s]


def _end_s(row: RequestRow) -> float:
    return NEVER if row.done_s is None else row.done_s


def by_stream(rows: Iterable[ReportRow]) -> dict[str, list[ReportRow]]:
    """Group reports by their stream."""
    found: dict[str, list[ReportRow]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(row)
    return found


def _of_requests(stream: str, requests: Sequence[RequestRow]) -> Recorded:
    times: dict[str, Callable[[RequestRow], float]] = {
        "response_ms": response_s,
        "service_ms": service_s,
        "dispatch_lag_ms": dispatch_lag_s,
    }
    return Recorded(
        {
            f"{stream}.offered": len(requests),
            f"{stream}.sent": sum(row.sent_s is not None for row in requests),
            f"{stream}.answered": sum(row.done_s is not None for row in requests),
            f"{stream}.failed": sum(not succeeded(row) for row in requests),
        },
        {
            f"{stream}.{what}": sample(_MS * time_s(row) for row in requests)
            for what, time_s in times.items()
        },
    )


def _of_orders(stream: str, rows: Sequence[ReportRow], *, queued: bool) -> Recorded:
    seen = [_MS * (_seen_s(row) - row.due_s) for row in rows]
    last = max(map(_seen_s, rows), default=None)
    times = {
        "run": [run_s(row) for row in rows],
        "ready": [_ready_s(row) for row in rows],
        **({"wait": [_wait_s(row) for row in rows]} if queued else {}),
    }
    numbers = {
        f"{stream}.accepted": sum(row.job_id is not None for row in rows),
        f"{stream}.finished": sum(map(is_done, rows)),
        **({} if last is None else {f"{stream}.last_seen_ms": _MS * last}),
    }
    samples = {
        f"{stream}.{what}_ms": sample(NEVER if each is None else _MS * each for each in seconds)
        for what, seconds in times.items()
        # A service that does not tell has no such sample; a report that was not built has NEVER.
        if any(each is not None for each in seconds)
    }
    return Recorded(numbers, {**samples, f"{stream}.seen_ms": sample(seen)})


def _seen_s(row: ReportRow) -> float:
    """Return when the client had the report; one that was not built never came."""
    return row.seen_s if is_done(row) and row.seen_s is not None else NEVER


def is_done(row: ReportRow) -> bool:
    """Whether a report was built."""
    return row.status == _DONE


def _lost(rows: Sequence[ReportRow]) -> float | None:
    if not rows:
        return None
    return sum(row.job_id is not None and not is_done(row) for row in rows)


def run_s(row: ReportRow) -> float | None:
    """Return the seconds that a report was worked on, by its own times; None if it never was."""
    return _seconds(row.started_at, row.finished_at) if is_done(row) else None


def _ready_s(row: ReportRow) -> float | None:
    # A report that failed or was cancelled has a time at which it ended, too.
    return _seconds(row.accepted_at, row.finished_at) if is_done(row) else None


def _wait_s(row: ReportRow) -> float | None:
    # Also of a report that is still being built it is known how long it had to wait.
    return _seconds(row.accepted_at, row.started_at)


def _seconds(begin: str | None, end: str | None) -> float | None:
    if not (begin and end):
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
