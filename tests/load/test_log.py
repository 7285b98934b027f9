import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from offloop.load.log import NEVER, RequestLog, summarise
from offloop.load.records import (
    REFUSALS_FILE,
    REPORTS_FILE,
    REQUESTS_FILE,
    UNANSWERED,
    RefusalRow,
    ReportRow,
    RequestRow,
    write_rows,
)


def answered(due_s: float, took_s: float = 0.01, lag_s: float = 0.001) -> RequestRow:
    sent_s = due_s + lag_s
    return RequestRow("ping", due_s, sent_s, sent_s + took_s, 200, 2, "")


def refused(due_s: float) -> RequestRow:
    return answered(due_s)._replace(status=503, error="status 503")


def unanswered(due_s: float) -> RequestRow:
    return RequestRow("ping", due_s, due_s, None, None, None, UNANSWERED)


def unsent(due_s: float) -> RequestRow:
    return RequestRow("ping", due_s, None, None, None, None, UNANSWERED)


def log(*rows: RequestRow) -> RequestLog:
    return RequestLog(("ping",), 1000.0, 20.0, list(rows), [], cpu_s=0.5)


def test_response_time_counts_from_due_and_service_time_from_sent() -> None:
    figures = summarise([answered(1.0, took_s=0.01, lag_s=0.5)])

    assert figures.response_ms is not None
    assert figures.service_ms is not None
    assert figures.dispatch_lag_ms is not None
    assert figures.response_ms.p50 == pytest.approx(510)
    assert figures.service_ms.p50 == pytest.approx(10)
    assert figures.dispatch_lag_ms.p50 == pytest.approx(500)


@pytest.mark.parametrize("failing", [refused, unanswered, unsent])
def test_a_failed_request_is_slower_than_every_other_and_not_among_the_succeeded(
    failing: Callable[[float], RequestRow],
) -> None:
    figures = summarise([answered(1.0) for _ in range(98)] + [failing(1.0), failing(2.0)])

    assert (figures.offered, figures.failed) == (100, 2)
    assert figures.response_ms is not None
    assert figures.succeeded_ms is not None
    assert figures.response_ms.p95 == pytest.approx(11)
    assert figures.response_ms.p99 == figures.response_ms.max == NEVER
    assert figures.succeeded_ms.max == pytest.approx(11)


def test_failed_requests_count_as_sent_and_answered() -> None:
    figures = summarise([answered(1), refused(1), unanswered(1), unsent(1)])

    assert (figures.offered, figures.sent, figures.answered, figures.failed) == (4, 3, 2, 3)


def test_an_unsent_request_means_that_the_schedule_was_not_kept() -> None:
    broken = summarise([answered(1), unsent(1)]).broken_schedule()

    assert broken == "only 1 of 2 due requests were sent"


def test_late_requests_mean_that_the_schedule_was_not_kept() -> None:
    late = summarise([answered(1, lag_s=0.011)])
    in_time = summarise([answered(1, lag_s=0.009)])

    assert "dispatch lag 11.0 ms, limit 10 ms" in (late.broken_schedule() or "")
    assert in_time.broken_schedule() is None


def test_a_slow_server_does_not_break_the_schedule() -> None:
    assert summarise([answered(1, took_s=5), refused(1)]).broken_schedule() is None


def test_a_stream_without_requests_has_no_percentiles() -> None:
    figures = log().summary()["ping"]

    assert figures.offered == 0
    assert figures.response_ms is figures.service_ms is figures.dispatch_lag_ms is None
    assert figures.succeeded_ms is None


def test_a_phase_has_the_requests_that_were_due_in_it() -> None:
    phase = log(answered(1), answered(2), answered(3)).due_between(2, 3)

    assert [row.due_s for row in phase.requests] == [2]


def test_the_files_hold_what_was_recorded(tmp_path: Path) -> None:
    report = ReportRow("ping", 1.0, None, "j", None, "A", None, None, 0, None, None)
    # Moments that six decimals hold exactly.
    late = answered(1, took_s=0.25, lag_s=0.5)
    wrong = late._replace(status=503, error="status 503")
    refusal = RefusalRow("ping", 1.0, 1.5, 1.75, 3, None)
    written = replace(
        log(late, wrong, unanswered(3.0), unsent(4.0)), reports=[report], refusals=[refusal]
    )
    write_rows(tmp_path / REQUESTS_FILE, RequestRow._fields, written.requests)
    write_rows(tmp_path / REPORTS_FILE, ReportRow._fields, written.reports)
    write_rows(tmp_path / REFUSALS_FILE, RefusalRow._fields, written.refusals)
    written.write_summary(tmp_path)

    assert RequestLog.read(tmp_path) == written
    lines = (tmp_path / REQUESTS_FILE).read_text().splitlines()
    assert lines[0] == "name,due_s,sent_s,done_s,status,bytes,error"
    assert lines[3] == "ping,3.000000,3.000000,,,,unanswered"
    assert lines[4] == "ping,4.000000,,,,,unanswered"


def test_the_summary_has_a_key_for_each_name_and_null_for_what_never_came(tmp_path: Path) -> None:
    log(answered(1), refused(2)).write_summary(tmp_path)

    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)

    assert summary["schema"] == "offloop.load/1"
    assert summary["start_monotonic_s"] == 1000.0
    assert set(summary["ping"]) == {
        "offered",
        "sent",
        "answered",
        "failed",
        "response_ms",
        "service_ms",
        "dispatch_lag_ms",
        "succeeded_ms",
    }
    assert set(summary["ping"]["response_ms"]) == {"p50", "p90", "p95", "p99", "max"}
    assert summary["ping"]["response_ms"]["max"] is None
    assert summary["ping"]["succeeded_ms"]["max"] == pytest.approx(11)


def test_a_log_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"schema": "offloop.load/0"}')
    with pytest.raises(ValueError, match=r"reads 'offloop\.load/1'"):
        RequestLog.read(tmp_path)

    log().write_summary(tmp_path)
    (tmp_path / REQUESTS_FILE).write_text("name,due\n")
    with pytest.raises(ValueError, match="begins with name,due; a log of this version"):
        RequestLog.read(tmp_path)
