import pytest

from offloop.load.records import RefusalRow
from offloop.measuring.combining import in_block
from offloop.measuring.instruments.requests import recorded
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded
from tests.bench.support import request, request_log


def refusal(
    *, done_s: float = 1.01, told_s: int = 2, again_s: float | None = 3.02, name: str = "report"
) -> RefusalRow:
    return RefusalRow(name, 1.0, 1.0, done_s, told_s, again_s)


def measured(*refusals: RefusalRow) -> Recorded:
    log = request_log([request("report")])
    log.refusals.extend(refusals)
    return recorded(Rows(log, (), queued=True, duration_s=10, retrying=frozenset({"report"})))


def test_refusals_are_counted_and_timed_from_when_they_were_sent() -> None:
    found = measured(*(refusal(done_s=1 + number / 100) for number in range(1, 21)))

    assert found.numbers["report.refused"] == 20
    assert in_block("report.refused_p50_ms", found) == pytest.approx(100)
    assert in_block("report.refused_p95_ms", found) == pytest.approx(190)


def test_an_order_retried_before_retry_after_is_counted() -> None:
    late, early, never = refusal(again_s=3.5), refusal(again_s=3.0), refusal(again_s=None)

    assert measured(late, never).numbers["report.early_retries"] == 0
    assert measured(late, early, never).numbers["report.early_retries"] == 1


def test_rounding_in_the_log_does_not_make_a_retry_early() -> None:
    # What was 1.0000004 and 3.0000004 is written with six decimals.
    exact = refusal(done_s=1.000001, again_s=3.0)

    assert measured(exact).numbers["report.early_retries"] == 0


def test_without_refusals_the_counts_are_zero_and_the_times_are_empty() -> None:
    found = measured(refusal(name="another"))

    assert (found.numbers["report.refused"], found.numbers["report.early_retries"]) == (0, 0)
    assert found.samples["report.refused_ms"] == ()
