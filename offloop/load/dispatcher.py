"""Walking a plan inside the generator's process: each request in a greenlet, at its due time."""

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic, process_time
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import gevent

from offloop.load.alarm import Alarm
from offloop.load.connections import (
    EXCHANGE_ERRORS,
    Answer,
    Connections,
    Origin,
    host_header,
    reason,
    request_target,
)
from offloop.load.following import MISSING, WAIT_S, Outcome, pause_s, read_outcome
from offloop.load.plan import Plan, Stream
from offloop.load.protocol import Progress
from offloop.load.records import UNANSWERED, RefusalRow, ReportRow, RequestRow
from offloop.load.retry_after import UNAVAILABLE, seconds_of

#: Between the call and second 0, so that the first requests find the generator waiting for them.
_LEAD_S = 0.1

#: How often progress is told, in seconds.
_PROGRESS_S = 1.0

#: Requests that may be started in a row before those already started get the processor; only
#: matters to a generator that is behind its schedule.
_BURST = 32

_ACCEPTED = 202
_GONE = frozenset({404, 410})

#: Told of each request when it ends: stream, row, and the report if the request was followed.
OnRequest = Callable[[Stream, RequestRow, ReportRow | None], None]
#: Told of each request when it was answered, or cannot be any more: before it is followed.
OnSettled = Callable[[Stream, RequestRow], None]
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Dispatched:
    """What was recorded while a plan was dispatched.

    Attributes:
        start_monotonic_s: Second 0, on CLOCK_MONOTONIC.
        cpu_s: Processor seconds of this process from second 0 to the end.
        requests: A row for every due request, in the order of `Plan.merged`.
        reports: A row for every due request of a followed stream, in the same order.
        refusals: A row for every refusal of a request that is sent again, in the same order.
    """

    start_monotonic_s: float
    cpu_s: float
    requests: list[RequestRow]
    reports: list[ReportRow]
    refusals: list[RefusalRow]


@dataclass(slots=True)
class _Ticket:
    """One due request on its way; its greenlet fills it in."""

    stream: "_Prepared"
    index: int
    due_s: float
    key: str | None = None
    client: str | None = None
    sent_s: float | None = None
    done_s: float | None = None
    status: int | None = None
    size: int | None = None
    error: str = UNANSWERED
    seen_s: float | None = None
    outcome: Outcome = field(default_factory=Outcome)
    refusals: list[RefusalRow] = field(default_factory=list)

    def request_row(self) -> RequestRow:
        return RequestRow(
            self.stream.of.name,
            self.due_s,
            self.sent_s,
            self.done_s,
            self.status,
            self.size,
            self.error,
        )

    def report_row(self) -> ReportRow | None:
        if not self.stream.of.follow:
            return None
        return self.outcome.row(self.stream.of.name, self.due_s, self.seen_s)


class _Prepared:
    """A stream with everything worked out that its requests have in common."""

    def __init__(self, stream: Stream) -> None:
        self.of = stream
        self.url = stream.base_url.rstrip("/") + stream.path
        self.origin = Origin.of(self.url)
        body = b"" if stream.body is None else json.dumps(stream.body).encode()
        headers = {"Host": host_header(self.url), **stream.headers}
        if stream.body is not None:
            headers.setdefault("Content-Type", "application/json")
            headers["Content-Length"] = str(len(body))
        self._head = _head(stream.method, request_target(self.url), headers)
        self._tail = b"\r\n\r\n" + body

    def request(self, request_id: str, key: str | None) -> bytes:
        # In quotes, as the draft asks for (draft-ietf-httpapi-idempotency-key-header).
        keyed = b"" if key is None else b'\r\nIdempotency-Key: "%b"' % key.encode()
        return b"%bX-Request-Id: %b%b%b" % (self._head, request_id.encode(), keyed, self._tail)

    def accepts(self, status: int) -> bool:
        expect = self.of.expect
        return status in expect if expect is not None else _is_success(status)


class _Keys:
    """The idempotency keys of one pass: a server remembers those of the passes before."""

    def __init__(self) -> None:
        self._pass = uuid4().hex
        self._given: Counter[str] = Counter()

    def next(self, stream: Stream) -> str | None:
        """Return the key of the next request of a stream, if it has keys."""
        if stream.keys is None:
            return None
        self._given[stream.name] += 1
        return f"{self._pass}-{stream.keys}-{self._given[stream.name]}"


class _Clients:
    """Assigns the requests of a stream to its clients, in turn."""

    def __init__(self) -> None:
        self._turns: Counter[str] = Counter()

    def next(self, stream: Stream) -> str | None:
        """Return the client that sends the next request; None if the stream has no clients."""
        if stream.clients is None:
            return None
        self._turns[stream.name] += 1
        return f"{stream.name}-{self._turns[stream.name] % stream.clients}"


class Walk:
    """One pass over a plan."""

    def __init__(
        self,
        plan: Plan,
        *,
        on_request: OnRequest | None = None,
        on_settled: OnSettled | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._plan = plan
        self._on_request = on_request
        self._on_settled = on_settled
        self._on_progress = on_progress
        prepared = {stream.name: _Prepared(stream) for stream in plan.streams}
        keys, clients = _Keys(), _Clients()
        self._tickets = [
            _Ticket(prepared[stream.name], index, due_s, keys.next(stream), clients.next(stream))
            for index, (due_s, stream) in enumerate(plan.merged())
        ]
        self._origins = {stream.origin for stream in prepared.values()}
        self._connections = Connections()
        self._in_flight: set[gevent.Greenlet] = set()
        self._start_s = 0.0
        self._sent = 0
        self._answered = 0

    def run(self) -> Dispatched:
        """Send everything when it is due and wait for the answers until the deadline.

        Raises:
            OSError: A server's host name has no address.
        """
        for origin in self._origins:
            self._connections.resolve(origin)
        with _no_garbage_collection(), Alarm() as alarm:
            self._start_s = monotonic() + _LEAD_S
            cpu_at_start_s = process_time()
            reporter = gevent.spawn(self._tell_progress)
            try:
                self._send_all(alarm)
                self._wait_until_deadline()
            finally:
                gevent.killall([reporter, *self._in_flight])
                self._connections.close()
            cpu_s = process_time() - cpu_at_start_s
        self._tell()
        rows = (ticket.report_row() for ticket in self._tickets)
        return Dispatched(
            start_monotonic_s=self._start_s,
            cpu_s=cpu_s,
            requests=[ticket.request_row() for ticket in self._tickets],
            reports=[row for row in rows if row is not None],
            refusals=[row for ticket in self._tickets for row in ticket.refusals],
        )

    def _now_s(self) -> float:
        return monotonic() - self._start_s

    def _send_all(self, alarm: Alarm) -> None:
        in_a_row = 0
        for ticket in self._tickets:
            if ticket.due_s > self._now_s():
                alarm.sleep_until(self._start_s + ticket.due_s)
                in_a_row = 0
            elif in_a_row >= _BURST:
                gevent.sleep(0)
                in_a_row = 0
            if self._now_s() > self._plan.deadline_s:
                return
            in_a_row += 1
            self._in_flight.add(gevent.spawn(self._serve, ticket))

    def _wait_until_deadline(self) -> None:
        left_s = self._plan.deadline_s - self._now_s()
        gevent.joinall(list(self._in_flight), timeout=max(left_s, 0.0))

    def _serve(self, ticket: _Ticket) -> None:
        try:
            self._send(ticket)
        finally:
            self._in_flight.discard(gevent.getcurrent())
            if self._on_request is not None:
                self._on_request(ticket.stream.of, ticket.request_row(), ticket.report_row())

    def _send(self, ticket: _Ticket) -> None:
        ticket.sent_s = sent_s = self._now_s()
        self._sent += 1
        try:
            answer = self._exchange(ticket, sent_s)
            self._answered += answer is not None
            while answer is not None and (told_s := _told_to_come_back(ticket, answer)) is not None:
                sent_s = self._wait_as_told(ticket, sent_s, told_s)
                answer = self._exchange(ticket, sent_s)
        finally:  # also when the deadline ends it
            if self._on_settled is not None:
                self._on_settled(ticket.stream.of, ticket.request_row())
        if answer is not None and ticket.stream.of.follow and not ticket.error:
            self._follow(ticket, answer)

    def _exchange(self, ticket: _Ticket, sent_s: float) -> Answer | None:
        stream = ticket.stream
        tried = f"-{len(ticket.refusals)}" if ticket.refusals else ""
        request = stream.request(f"{self._plan.seed}-{ticket.index}{tried}", ticket.key)
        try:
            answer = self._connections.exchange(
                stream.origin, stream.of.method, request, ticket.client
            )
        except EXCHANGE_ERRORS as error:
            ticket.done_s = ticket.status = ticket.size = None
            ticket.error = reason(error)
            return None
        # The kernel's stamp comes from another clock: not before the request, whatever it says.
        ticket.done_s = max(answer.received_s - self._start_s, sent_s)
        ticket.status = answer.status
        ticket.size = len(answer.body)
        ticket.error = "" if stream.accepts(answer.status) else f"status {answer.status}"
        return answer

    def _wait_as_told(self, ticket: _Ticket, sent_s: float, told_s: int) -> float:
        """Note a refusal, and return when it is time to send again: no sooner than told."""
        assert ticket.done_s is not None  # noqa: S101 - a refusal is an answer
        come_back_s = ticket.done_s + told_s
        name = ticket.stream.of.name
        refusal = RefusalRow(name, ticket.due_s, sent_s, ticket.done_s, told_s, None)
        ticket.refusals.append(refusal)
        # The event loop's clock is that of its last turn, so that a timer may be early.
        while (left_s := come_back_s - self._now_s()) > 0:
            gevent.sleep(left_s)
        again_s = self._now_s()
        ticket.refusals[-1] = refusal._replace(again_s=again_s)
        return again_s

    def _follow(self, ticket: _Ticket, answer: Answer) -> None:
        ticket.outcome = read_outcome(answer.body)
        location = answer.headers.get("location")
        if ticket.outcome.is_final:
            ticket.seen_s = ticket.done_s
        elif answer.status == _ACCEPTED and isinstance(location, str):
            self._ask_until_final(ticket, urljoin(ticket.stream.url, location))

    def _ask_until_final(self, ticket: _Ticket, url: str) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            return
        headers = {"Host": host_header(url), "Prefer": f"wait={WAIT_S}"}
        question = _head("GET", request_target(url), headers) + b"\r\n"
        origin = Origin.of(url)
        while True:
            asked_s = self._now_s()
            retry_after: str | None = None
            # A server that restarts does not end the wait: the report was promised.
            with suppress(*EXCHANGE_ERRORS):
                answer = self._connections.exchange(origin, "GET", question)
                header = answer.headers.get("retry-after")
                retry_after = header if isinstance(header, str) else None
                if answer.status in _GONE:
                    ticket.outcome = ticket.outcome._replace(status=MISSING)
                elif _is_success(answer.status):
                    ticket.outcome = read_outcome(answer.body)
            if ticket.outcome.is_final:
                ticket.seen_s = max(answer.received_s - self._start_s, asked_s)
                return
            gevent.sleep(pause_s(retry_after, self._now_s() - asked_s))

    def _tell_progress(self) -> None:
        while True:
            self._tell()
            gevent.sleep(_PROGRESS_S)

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(
                Progress(
                    start_monotonic_s=self._start_s,
                    elapsed_s=max(self._now_s(), 0.0),
                    sent=self._sent,
                    answered=self._answered,
                    total=len(self._tickets),
                )
            )


def _told_to_come_back(ticket: _Ticket, answer: Answer) -> int | None:
    """Return the seconds after which a refused request is to be sent again; None if it is not."""
    if not (ticket.stream.of.retry_refused and ticket.error and answer.status == UNAVAILABLE):
        return None
    return seconds_of(answer.headers.get("retry-after"))


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - RFC 9110, section 15.3


def _head(method: str, target: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep collections, which stop everything for milliseconds, out of the measurement."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
