import pytest

from offloop.bench.refusals import refusal_samples
from offloop.load.log import RequestLog
from offloop.load.records import RefusalRow
from offloop.measuring.combining import in_block
from offloop.measuring.values import Recorded
from tests.bench.support import request, request_log


def refusal(
    *, done_s: float = 1.01, told_s: int = 2, again_s: float | None = 3.02, name: str = "report"
) -> RefusalRow:
    return RefusalRow(name, 1.0, 1.0, done_s, told_s, again_s)


def log(*refusals: RefusalRow) -> RequestLog:
    found = request_log([request("report")])
    found.refusals.extend(refusals)
    return found


def test_refusals_are_counted_and_timed_from_when_they_were_sent() -> None:
    found = refusal_samples(
        "report", log(*(refusal(done_s=1 + number / 100) for number in range(1, 21)))
    )

    assert found.numbers["report.refused"] == 20
    assert in_block("report.refused_p50_ms", found) == pytest.approx(100)
    assert in_block("report.refused_p95_ms", found) == pytest.approx(190)


def test_an_order_that_is_sent_again_sooner_than_told_is_counted() -> None:
    late, early, never = refusal(again_s=3.5), refusal(again_s=3.0), refusal(again_s=None)

    assert refusal_samples("report", log(late, never)).numbers["report.early_retries"] == 0
    assert refusal_samples("report", log(late, early, never)).numbers["report.early_retries"] == 1


def test_a_moment_that_the_log_has_rounded_is_not_early() -> None:
    # What was 1.0000004 and 3.0000004 is written with six decimals.
    exact = refusal(done_s=1.000001, again_s=3.0)

    assert refusal_samples("report", log(exact)).numbers["report.early_retries"] == 0


def test_where_no_order_was_refused_there_are_none_and_they_took_no_time() -> None:
    assert refusal_samples("report", log(refusal(name="another"))) == Recorded(
        {"report.refused": 0, "report.early_retries": 0}, {"report.refused_ms": ()}
    )
