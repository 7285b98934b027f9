"""What clients saw of one arm: requests, orders, refusals, and the parts around each event.

Everything here can be worked out again from what a run has kept, and a test does so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from offloop.load.log import RequestLog, dispatch_lag_s, response_s, service_s, succeeded
from offloop.load.records import ReportRow, RequestRow, seconds_between
from offloop.measuring.instruments.instrument import Instrument, RawRow
from offloop.measuring.instruments.losses import losses
from offloop.measuring.measure import Better, Kind, Measure, Unit, count, percentile
from offloop.measuring.rows import DONE, Rows
from offloop.measuring.values import NEVER, Recorded, merged, sample, second_of

_MS = 1000

_Row = TypeVar("_Row")


#: Seconds; the log keeps moments to a millionth of one, and three of them are compared.
_ROUNDED_S = 2e-6

#: Milliseconds above which a request counts as harmed: ten times what `GET /ping` takes where
#: nothing disturbs it. It is shown, and nothing is judged by it.
HARMED_MS = 10.0

#: Of a stream of plain requests, and of the answers to orders.
REQUESTS = (
    count("offered", "requests"),
    count("sent", "sent", shown=False),
    count("answered", "answered", shown=False),
    count("failed", "failed", Better.LOWER, promise=True),
    Measure(
        "harmed_share",
        f"over {HARMED_MS:g} ms",
        Unit.SHARE,
        Kind.SHARE,
        sample="response_ms",
        above_ms=HARMED_MS,
    ),
    percentile("p50_ms", "p50", "response_ms", 50),
    percentile("p95_ms", "p95", "response_ms", 95),
    percentile("p99_ms", "p99", "response_ms", 99),
    Measure("max_ms", "slowest", Unit.MS, Kind.MAXIMUM, sample="response_ms"),
    Measure(
        "answered_p99_ms",
        "p99 of those answered",
        Unit.MS,
        Kind.PERCENTILE,
        sample="response_ms",
        percent=99,
        answered_only=True,
        shown=False,
    ),
    percentile("service_p50_ms", "p50, from when it was sent", "service_ms", 50, shown=False),
    percentile("service_p99_ms", "p99, from when it was sent", "service_ms", 99),
    percentile("dispatch_lag_p50_ms", "sent late by, p50", "dispatch_lag_ms", 50, shown=False),
    percentile("dispatch_lag_p90_ms", "sent late by, p90", "dispatch_lag_ms", 90, shown=False),
    percentile("dispatch_lag_p95_ms", "sent late by, p95", "dispatch_lag_ms", 95, shown=False),
    percentile("dispatch_lag_p99_ms", "sent late by, p99", "dispatch_lag_ms", 99, shown=False),
)

#: Of a stream of orders for reports.
ORDERS = (
    count("accepted", "accepted", shown=False),
    count("finished", "finished", Better.HIGHER),
    percentile("run_p50_ms", "run time p50", "run_ms", 50),
    percentile("run_p95_ms", "run time p95", "run_ms", 95, shown=False),
    percentile("ready_p50_ms", "ready p50, from acceptance", "ready_ms", 50, shown=False),
    percentile("ready_p95_ms", "ready p95, from acceptance", "ready_ms", 95, shown=False),
    percentile("seen_p50_ms", "ready p50, as clients saw it", "seen_ms", 50),
    percentile("seen_p95_ms", "ready p95, as clients saw it", "seen_ms", 95),
    Measure("last_seen_ms", "last report ready after", Unit.MS, Kind.MAXIMUM, shown=False),
)

#: Of orders that wait in a queue.
QUEUED_ORDERS = (
    percentile("wait_p50_ms", "queue wait p50", "wait_ms", 50),
    percentile("wait_p95_ms", "queue wait p95", "wait_ms", 95),
    Measure("wait_max_ms", "longest queue wait", Unit.MS, Kind.MAXIMUM, sample="wait_ms"),
)

#: Of orders whose clients come back when they are refused.
REFUSED_ORDERS = (
    count("refused", "refusals"),
    percentile("refused_p50_ms", "refusals p50", "refused_ms", 50, shown=False),
    percentile("refused_p95_ms", "refusals p95", "refused_ms", 95),
    count("early_retries", "sent again too early", Better.LOWER),
)

#: Of an event.
EVENTS = (
    Measure("at_ms", "happened at", Unit.MS, Kind.LEVEL, Better.NEITHER, shown=False),
    Measure("lasted_ms", "lasted", Unit.MS, Kind.LEVEL, Better.NEITHER, shown=False),
    count("lost", "accepted and never finished", Better.LOWER, promise=True),
    count("undone", "accepted or not, and never finished", Better.LOWER),
)

#: Of all jobs of an arm.
JOBS = (count("jobs.lost", "accepted and never finished", Better.LOWER, promise=True),)


class Requests(Instrument):
    """Measures what the clients saw: their requests, and the reports that they ordered."""

    def __init__(self) -> None:
        self._tables: Mapping[str, Sequence[RawRow]] = {}

    def measured(self, rows: Rows) -> Recorded:
        """Work out what follows from the rows."""
        log = rows.log
        self._tables = {"requests": log.requests, "reports": log.reports, "refusals": log.refusals}
        return recorded(rows)

    def tables(self) -> Mapping[str, Sequence[RawRow]]:
        """Return the rows of the log."""
        return self._tables


def recorded(rows: Rows) -> Recorded:
    """Work out the numbers and samples that follow from the rows."""
    log = rows.log
    events: dict[str, float | None] = {}
    for event in rows.happened:
        events[f"{event.id}.at_ms"] = _MS * event.at_s
        events[f"{event.id}.lasted_ms"] = None if event.lasted_s is None else _MS * event.lasted_s
    return merged(
        [
            *(_of_requests(stream, log.of(stream)) for stream in log.names),
            *(
                _of_orders(stream, reports, queued=rows.queued)
                for stream, reports in by_stream(log.reports).items()
            ),
            *_parts(rows),
            *(_of_refusals(stream, log) for stream in sorted(rows.retrying)),
            Recorded.of({**events, **losses(log, rows.happened), "jobs.lost": _lost(log.reports)}),
        ]
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
    return row.status == DONE


def _lost(rows: Sequence[ReportRow]) -> float | None:
    if not rows:
        return None
    return sum(row.job_id is not None and not is_done(row) for row in rows)


def run_s(row: ReportRow) -> float | None:
    """Return the seconds that a report was worked on, by its own times; None if it never was."""
    return seconds_between(row.started_at, row.finished_at) if is_done(row) else None


def _ready_s(row: ReportRow) -> float | None:
    # A report that failed or was cancelled has a time at which it ended, too.
    return seconds_between(row.accepted_at, row.finished_at) if is_done(row) else None


def _wait_s(row: ReportRow) -> float | None:
    # Also of a report that is still being built it is known how long it had to wait.
    return seconds_between(row.accepted_at, row.started_at)


def _of_refusals(stream: str, log: RequestLog) -> Recorded:
    """Measure the refusals of a stream whose clients come back when they are told to.

    `refused` counts answers that were refusals, several of one order included, and
    `early_retries` those of them after which it was sent again sooner than the client was told.
    """
    refusals = [row for row in log.refusals if row.name == stream]
    early = [
        row
        for row in refusals
        if row.again_s is not None and row.again_s < row.done_s + row.retry_after_s - _ROUNDED_S
    ]
    return Recorded(
        {f"{stream}.refused": len(refusals), f"{stream}.early_retries": len(early)},
        {f"{stream}.refused_ms": sample(_MS * (row.done_s - row.sent_s) for row in refusals)},
    )
