"""What the raw rows of one arm come to."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from offloop.load.log import RequestLog
from offloop.load.records import ReportRow, RequestRow
from offloop.measuring.combining import in_block
from offloop.measuring.instruments.queue import row_measures
from offloop.measuring.instruments.requests import recorded
from offloop.measuring.rows import Happened, Rows
from offloop.measuring.values import NEVER, Recorded
from tests.bench.support import DEADLINE_S, report, request, request_log

FREEZE = Happened("freeze", ("redis",), at_s=3.0, lasted_s=1.5)


def rows(
    log: RequestLog,
    *happened: Happened,
    queued: bool = True,
    later: Mapping[str, float] | None = None,
) -> Rows:
    return Rows(log, happened, queued=queued, duration_s=DEADLINE_S, later=later or {})


def of_requests(requests: Iterable[RequestRow], *happened: Happened) -> Recorded:
    return recorded(rows(request_log(requests), *happened))


def of_orders(*reports: ReportRow, queued: bool = True) -> Recorded:
    requests = [request(row.name, due_s=row.due_s) for row in reports]
    return recorded(rows(request_log(requests, reports), queued=queued))


def times(found: Recorded, name: str) -> object:
    """A sample, to be compared with times in milliseconds."""
    return pytest.approx(found.samples[name])


def names(found: Recorded) -> set[str]:
    return found.numbers.keys() | found.samples.keys()


def test_every_due_request_counts_and_a_failed_one_is_never_answered() -> None:
    ok = [request() for _ in range(98)]
    found = of_requests([*ok, request(took_s=None), request(error="status 500")])

    assert found.numbers["bystander.offered"] == 100
    assert found.numbers["bystander.answered"] == 99
    assert found.numbers["bystander.failed"] == 2
    assert in_block("bystander.p50_ms", found) == pytest.approx(3)
    assert in_block("bystander.p99_ms", found) == NEVER
    assert in_block("bystander.answered_p99_ms", found) == pytest.approx(3)


def test_response_time_counts_from_due_and_service_time_from_sent() -> None:
    found = of_requests([request(lag_s=0.5, took_s=0.25)])

    assert times(found, "bystander.response_ms") == (750,)
    assert times(found, "bystander.service_ms") == (250,)
    assert times(found, "bystander.dispatch_lag_ms") == (500,)


def test_a_request_that_was_never_sent_is_not_counted_as_sent() -> None:
    found = of_requests([request(), request(lag_s=None)])

    assert (found.numbers["bystander.offered"], found.numbers["bystander.sent"]) == (2, 1)
    assert found.samples["bystander.dispatch_lag_ms"][-1] == NEVER


def test_plain_requests_are_known_for_each_whole_second_before_the_first_event() -> None:
    plain = [request(due_s=due_s) for due_s in (0.2, 0.9, 2.0, 3.0)]
    order = request("report", due_s=0.5)

    found = recorded(rows(request_log([*plain, order], [report()]), FREEZE._replace(at_s=3.5)))

    seconds = {name: len(each) for name, each in found.samples.items() if "second:" in name}
    assert {name: n for name, n in seconds.items() if "response" in name and n} == {
        "second:0.bystander.response_ms": 2,
        "second:2.bystander.response_ms": 1,
    }


def test_ready_uses_the_clock_of_the_server_and_seen_that_of_the_client() -> None:
    found = of_orders(report(due_s=1.0, seen_s=4.5, built_s=2))

    assert times(found, "report.ready_ms") == (2000,)
    assert times(found, "report.seen_ms") == (3500,)


@pytest.mark.parametrize("status", ["failed", "queued", "missing", None])
def test_a_report_that_was_not_built_is_never_ready_however_fast_it_failed(
    status: str | None,
) -> None:
    found = of_orders(report(), report(due_s=1.0, seen_s=1.1, status=status))

    assert found.numbers["report.accepted"] == 2
    assert found.numbers["report.finished"] == 1
    assert found.numbers["jobs.lost"] == 1
    assert found.numbers["report.last_seen_ms"] == NEVER
    for name in ("run", "ready", "seen"):
        assert times(found, f"report.{name}_ms") == (1000, NEVER)


def test_a_failed_report_is_never_ready_although_it_has_an_end_time() -> None:
    failed = report(status="failed")._replace(finished_at="2026-01-01T00:00:01.000Z")

    found = of_orders(report(), failed)

    for name in ("run", "ready", "seen"):
        assert times(found, f"report.{name}_ms") == (1000, NEVER)


def test_times_that_the_server_does_not_report_are_absent() -> None:
    silent = report()._replace(accepted_at=None, started_at=None, finished_at=None)

    assert {name for name in of_orders(silent, silent).samples if name.startswith("report.")} == {
        *(f"report.{what}_ms" for what in ("response", "service", "dispatch_lag", "seen"))
    }


def test_each_stream_of_orders_has_measures_of_its_own() -> None:
    found = of_orders(report("short", built_s=1), report("long", built_s=9))

    assert times(found, "short.ready_ms") == (1000,)
    assert times(found, "long.ready_ms") == (9000,)
    assert found.numbers["short.finished"] == found.numbers["long.finished"] == 1
    assert found.numbers["jobs.lost"] == 0


def test_a_report_waits_until_it_is_started_and_then_runs() -> None:
    found = of_orders(
        report(waited_s=4, built_s=6),
        report(waited_s=1, built_s=2),
        # How long this one waited is known before it is finished,
        report(waited_s=2, status="running"),
        # and this one was never started.
        report(status="queued")._replace(started_at=None),
    )

    assert times(found, "report.wait_ms") == (1000, 2000, 4000, NEVER)
    assert times(found, "report.run_ms") == (1000, 2000, NEVER, NEVER)


def test_without_a_queue_there_are_no_queue_times() -> None:
    found = of_orders(report(), queued=False)

    assert not [name for name in names(found) if "wait" in name or name.startswith("queue.")]
    assert times(found, "report.run_ms") == (1000,)


def test_without_followed_reports_there_are_no_report_measures() -> None:
    found = of_requests([request()])

    assert not [name for name in names(found) if name.startswith(("report.", "jobs."))]


def test_the_last_report_is_seen_when_all_are() -> None:
    found = of_orders(report(seen_s=4.0), report(seen_s=3.0))

    assert found.numbers["report.last_seen_ms"] == 4000


def test_plain_requests_are_measured_apart_before_an_event_and_from_then_on() -> None:
    found = of_requests(
        [
            *(request(due_s=due_s) for due_s in (1.0, 2.0, 2.5)),
            request(due_s=3.0, took_s=1.0),
            request(due_s=4.0, error="reset"),
        ],
        FREEZE,
    )

    assert found.numbers["freeze.at_ms"] == 3000
    assert found.numbers["freeze.lasted_ms"] == 1500
    assert found.numbers["before:freeze.bystander.offered"] == 3
    assert found.numbers["before:freeze.bystander.failed"] == 0
    assert times(found, "before:freeze.bystander.response_ms") == (3, 3, 3)
    assert found.numbers["after:freeze.bystander.offered"] == 2
    assert found.numbers["after:freeze.bystander.failed"] == 1
    assert times(found, "after:freeze.bystander.response_ms") == (1001, NEVER)
    assert found.numbers["bystander.offered"] == 5


@pytest.mark.parametrize(
    ("took_s", "kept"),
    [
        ((0.1, 0.1, 0.1, 0.1), 4),
        # A long answer that came in time is kept,
        ((2.9, 0.1, 0.1, 0.1), 4),
        # what the event finds without an answer is not, nor what was due after it.
        ((0.1, 0.1, 0.1, 2.0), 3),
        ((0.1, 2.0, 0.1, 0.1), 1),
        ((0.1, None, 0.1, 0.1), 1),
        ((2.9999, 0.1, 0.1, 0.1), 0),
    ],
)
def test_the_time_before_an_event_ends_with_the_first_unanswered_request(
    took_s: tuple[float | None, ...], kept: int
) -> None:
    due_s = (0.0, 1.0, 1.5, 2.5)
    requests = [request(due_s=at_s, took_s=took) for at_s, took in zip(due_s, took_s, strict=True)]
    orders = [
        report(due_s=at_s, seen_s=None if took is None else at_s + 0.001 + took)
        for at_s, took in zip(due_s, took_s, strict=True)
    ]
    answered = [request("report", due_s=at_s) for at_s in due_s]

    found = recorded(rows(request_log([*requests, *answered], orders), FREEZE))

    assert found.numbers["before:freeze.bystander.offered"] == kept
    assert found.numbers["before:freeze.report.finished"] == kept
    assert len(found.samples["before:freeze.report.seen_ms"]) == kept


def test_orders_have_no_measures_of_the_time_after_an_event() -> None:
    kill = Happened("kill", ("worker-long-1",), at_s=0.5, lasted_s=None)

    found = recorded(rows(request_log([request("report")], [report()]), kill))

    assert not [name for name in names(found) if name.startswith("after:")]
    assert "kill.lasted_ms" not in found.numbers


def test_a_stream_that_begins_later_divides_the_time_as_an_event_does() -> None:
    requests = [request(due_s=1.0), request(due_s=4.0, took_s=1.0), request("giant", due_s=4.0)]

    found = recorded(rows(request_log(requests, [report("giant")]), later={"giant": 4.0}))

    assert times(found, "before:giant.bystander.response_ms") == (3,)
    assert times(found, "after:giant.bystander.response_ms") == (1001,)
    assert not names(found) & {"giant.at_ms", "after:giant.giant.offered"}


def test_refusals_are_measured_where_clients_retry() -> None:
    of = rows(request_log([request("report")], [report()]))

    assert recorded(replace(of, retrying=frozenset({"report"}))).numbers["report.refused"] == 0
    assert "report.refused" not in names(recorded(of))


def test_queues_are_measured_until_the_first_event() -> None:
    waited = report(waited_s=3, built_s=4)
    log = request_log([request("report"), request("report")], [report(), waited])

    assert row_measures(rows(log))["queue.wait_max_ms"] == 3000
    assert row_measures(rows(log, FREEZE))["queue.wait_max_ms"] == 0
    assert row_measures(rows(log))["queue.drain_jobs"] == 2
    assert row_measures(rows(log, queued=False)) == {}
