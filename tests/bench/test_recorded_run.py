"""The table of edits: a recorded run, a change of its data, and the verdict that must follow.

Each edit is a fact that a run could have had. It is made in the rows of requests and reports, or,
where a fact is no row, in what was measured beside them. Then the run is judged again.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from offloop.measuring.expressions import Expression
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.results import ExperimentResult
from offloop.measuring.verdicts import Judged, Status, Verdict
from tests.bench.recorded import SLUGS, Recording, judged_again, recording

pytestmark = pytest.mark.medium

Row = dict[str, Any]

#: More than this share of the machine disturbs a block.
BUSY = 0.3


def rows(run: Recording, arm: str, name: str = "bystander", block: int | None = None) -> list[Row]:
    """Every request of a stream in an arm, by due time."""
    return [
        row
        for row in run.requests
        if row["arm"] == arm and row["name"] == name and block in {None, row["block"]}
    ]


def fail(chosen: Iterable[Row]) -> None:
    for row in chosen:
        row["status"], row["error"] = 500, "status 500"


def delay(chosen: Iterable[Row], seconds: Callable[[Row], float]) -> None:
    for row in chosen:
        row["done_s"] += seconds(row)


def stall(chosen: Iterable[Row], begin_s: float, length_s: float) -> None:
    """The service answers nothing from one moment to another."""
    end_s = begin_s + length_s
    for row in chosen:
        if begin_s <= row["done_s"] < end_s:
            row["done_s"] = end_s


def disturb(run: Recording, *blocks: int) -> None:
    for number in blocks:
        for values in run.result["blocks"][number].values():
            values[TAKEN] = BUSY


def disturb_all(run: Recording) -> None:
    disturb(run, *range(len(run.result["blocks"])))


def measured(run: Recording, arm: str, **values: float) -> None:
    """Change what was measured beside the rows, in the first block."""
    run.result["blocks"][0][arm] |= {
        name.replace("__", "."): value for name, value in values.items()
    }


def lose_a_job(run: Recording) -> None:
    row = next(row for row in run.reports if row["arm"] == "fixed")
    row["status"], row["seen_s"], row["finished_at"], row["sha256"] = "running", None, None, None


def found(result: ExperimentResult, id_: str) -> Judged:
    return next(judged for judged in (*result.expectations, *result.validity) if judged.id == id_)


def judged_by(slug: str, *edits: Callable[[Recording], None]) -> ExperimentResult:
    run = recording(slug)
    for edit in edits:
        edit(run)
    return judged_again(run)


# What no edit changes.


@pytest.mark.parametrize("slug", SLUGS)
def test_an_unedited_recording_is_judged_as_the_run_was(slug: str) -> None:
    run = recording(slug)

    result = judged_again(run)

    assert result.verdict is Verdict.PASS
    assert run.result["verdict"] == "pass"
    kept = {each["id"]: each["observed"] for each in run.result["expectations"]}
    assert {each.id: each.observed for each in result.expectations} == pytest.approx(kept)


# Failed requests, and promises.


def fail_three_blocks(run: Recording) -> None:
    for block in range(3):
        fail(rows(run, "fixed", block=block))


def fail_six_in_every_block(run: Recording) -> None:
    for block in range(len(run.result["blocks"])):
        fail(rows(run, "fixed", block=block)[100:106])


def fail_one_ping_of_60_after_each_report(run: Recording) -> None:
    for block in range(len(run.result["blocks"])):
        orders = [row["due_s"] for row in rows(run, "fixed", "report", block)]
        pings = rows(run, "fixed", block=block)
        fail(next(row for row in pings if row["due_s"] > due_s) for due_s in orders)


def fail_a_repeated_order(run: Recording) -> None:
    fail(rows(run, "fixed", "report.again", 0)[:1])


def double_a_bill(run: Recording) -> None:
    measured(run, "fixed", ledger__per_report_max=2)


def cut_a_file(run: Recording) -> None:
    measured(run, "fixed", files__partial=1)


def break_a_promise_in_a_discarded_run(run: Recording) -> None:
    values = dict(run.result["blocks"][0]["fixed"]) | {"jobs.lost": 1.0, TAKEN: BUSY}
    run.result["discarded"].append({"block": 0, "arm": "fixed", "measures": values})


@pytest.mark.parametrize(
    ("slug", "edit", "broken"),
    [
        ("loop_blocking", fail_three_blocks, "fixed_bystander_answered"),
        ("loop_blocking", fail_six_in_every_block, "fixed_bystander_answered"),
        ("loop_blocking", fail_one_ping_of_60_after_each_report, "fixed_bystander_answered"),
        ("loop_blocking", lose_a_job, "fixed_nothing_lost"),
        ("duplicate_reports", fail_a_repeated_order, "fixed_report_again_answered"),
        ("duplicate_reports", lose_a_job, "none_lost"),
        ("duplicate_reports", double_a_bill, "billed_once"),
        ("duplicate_reports", cut_a_file, "whole_files"),
        ("duplicate_reports", break_a_promise_in_a_discarded_run, "none_lost"),
    ],
)
@pytest.mark.parametrize("also", [lambda _: None, disturb_all], ids=["quiet", "busy"])
def test_a_broken_promise_fails_on_a_quiet_machine_and_on_a_busy_one(
    slug: str,
    edit: Callable[[Recording], None],
    broken: str,
    also: Callable[[Recording], None],
) -> None:
    result = judged_by(slug, edit, also)

    assert result.verdict is Verdict.FAIL
    assert found(result, broken).ok is False


# Disturbed blocks.


def make_slow(run: Recording, block: int) -> None:
    delay(rows(run, "fixed", block=block), lambda _: 1.0)


def add_a_block_like_the_first(run: Recording) -> None:
    number = len(run.result["blocks"])
    for table in (run.requests, run.reports):
        table += [{**row, "block": number} for row in table if row["block"] == 0]
    for key in ("blocks", "calibrations", "before_load_blocks"):
        run.result[key].append(dict(run.result[key][0]))


def test_a_disturbed_block_is_never_judged() -> None:
    run = recording("loop_blocking")
    make_slow(run, 2)
    disturb(run, 2)

    result = judged_again(run)

    assert 2 not in result.judged_blocks
    assert result.verdict is Verdict.NO_VERDICT
    assert found(result, "undisturbed_blocks").ok is False
    assert found(result, "cure_response").ok is True


def test_another_block_takes_the_place_of_a_disturbed_one() -> None:
    run = recording("loop_blocking")
    add_a_block_like_the_first(run)
    make_slow(run, 2)
    disturb(run, 2)

    assert judged_again(run).verdict is Verdict.PASS


def test_a_slow_p99_on_a_noisy_machine_has_no_verdict() -> None:
    result = judged_by("loop_blocking", lambda run: make_slow(run, 0), disturb_all)

    assert result.verdict is Verdict.NO_VERDICT


# What a p99 rests on.


def stall_six_seconds_of_fourteen(run: Recording) -> None:
    for block in range(3):
        for begin_s in (0.5, 1.5):
            stall(rows(run, "fixed", block=block), begin_s, 0.3)


def hold_the_loop_for_40_ms_a_report(run: Recording) -> None:
    for block in range(len(run.result["blocks"])):
        for order in rows(run, "fixed", "report", block):
            stall(rows(run, "fixed", block=block), order["done_s"] + 0.1, 0.04)


@pytest.mark.parametrize("edit", [stall_six_seconds_of_fourteen, hold_the_loop_for_40_ms_a_report])
def test_stalls_that_hit_a_few_requests_fail(edit: Callable[[Recording], None]) -> None:
    result = judged_by("loop_blocking", edit)

    assert result.verdict is Verdict.FAIL
    cure = found(result, "cure_response")
    assert cure.ok is False
    assert cure.low is not None
    assert cure.low > cure.limit


def test_the_ratio_of_a_typical_second_is_shown_and_not_judged() -> None:
    cure = found(judged_by("loop_blocking", stall_six_seconds_of_fourteen), "cure_response")

    assert cure.typical_second is not None
    assert cure.typical_second < cure.limit
    assert cure.ok is False


def test_a_value_whose_interval_contains_the_limit_decides_nothing() -> None:
    run = recording("loop_blocking")
    # Of seven blocks drawn with replacement, a third have this one not once.
    delay(rows(run, "fixed", block=0), lambda _: 0.1)

    result = judged_again(run)

    cure = found(result, "cure_response")
    assert cure.low is not None
    assert cure.high is not None
    assert cure.low < cure.limit < cure.high
    assert cure.ok is None
    assert result.verdict is Verdict.NO_VERDICT


def test_a_p99_of_fewer_than_2000_requests_is_not_judged() -> None:
    run = recording("loop_blocking")
    run.requests = [row for row in run.requests if row["name"] != "bystander" or row["due_s"] < 0.5]

    result = judged_again(run)

    assert result.verdict is Verdict.NO_VERDICT
    assert found(result, "fixed_bystander_requests").ok is False


def test_a_run_with_a_late_generator_does_not_pass() -> None:
    run = recording("loop_blocking")
    # It is late by 9 ms beside the baseline, and the fixed side takes as much: a ratio of about 1.
    for row in rows(run, "baseline"):
        row["sent_s"] += 0.009
        row["done_s"] += 0.009
    delay(rows(run, "fixed"), lambda _: 0.009)

    result = judged_again(run)

    assert found(result, "cure_response").ok is True
    assert found(result, "baseline_bystander_dispatched").ok is True
    assert found(result, "cure_response_without_lag").ok is False
    assert result.verdict is not Verdict.PASS


# Words.


def test_a_p95_of_seven_reports_is_called_the_slowest_of_seven() -> None:
    run = recording("loop_blocking")
    first = {(row["arm"], row["block"]): row["due_s"] for row in reversed(run.reports)}

    def kept(row: Row) -> bool:
        is_first: bool = row["due_s"] == first.get((row["arm"], row["block"]))
        return row["name"] != "report" or is_first

    run.reports = [row for row in run.reports if kept(row)]
    run.requests = [row for row in run.requests if kept(row)]

    assert "(slowest of 7)" in judged_again(run).price


def test_a_report_that_never_came_is_never_ready() -> None:
    run = recording("loop_blocking")
    for row in [row for row in run.reports if row["arm"] == "naive"][:3]:
        row["status"], row["seen_s"] = "running", None

    result = judged_again(run)

    assert "instead of never" in result.price
    assert result.arms["naive"]["report.seen_p95_ms"] is None
    assert result.details["naive"]["report.seen_p95_ms"].status is Status.NEVER
    assert '"report.seen_p95_ms":null' in result.model_dump_json()


def test_a_percentile_among_failed_requests_is_never_and_infinite() -> None:
    run = recording("loop_blocking")
    fail(rows(run, "naive")[::33])

    result = judged_again(run)

    assert result.arms["naive"]["bystander.p99_ms"] is None
    answered = result.arms["naive"]["bystander.answered_p99_ms"]
    assert answered is not None
    assert result.arms["naive"]["bystander.failed"] == len(rows(run, "naive")[::33])
    disease = found(result, "disease")
    assert disease.status is Status.NEVER
    assert disease.ok is True
    assert "the slowest in a hundred took never" in result.gain.lower()


def test_longest_in_a_sentence_is_the_maximum_of_the_run() -> None:
    run = recording("queue_growth")
    last = max(
        (row for row in run.reports if row["arm"] == "fixed"),
        key=lambda row: (row["block"], row["accepted_at"]),
    )
    later = datetime.fromisoformat(last["started_at"]) + timedelta(minutes=2)
    last["started_at"] = last["finished_at"] = later.isoformat()

    result = judged_again(run)

    longest = result.arms["fixed"]["report.wait_max_ms"]
    assert longest is not None
    assert longest > 1000 * 60
    assert f"{longest / 1000:,.2f} s" in result.gain


def test_a_difference_inside_its_interval_is_about_the_same() -> None:
    result = judged_by("loop_blocking")

    ratio = Expression.parse("fixed.report.seen_p95_ms / naive.report.seen_p95_ms")
    assert "about the same as" in result.price or "instead of" in result.price
    assert str(ratio.numerator) == "fixed.report.seen_p95_ms"


def test_a_ratio_of_times_is_told_with_report_length_and_utilisation() -> None:
    result = judged_by("loop_blocking")

    assert "S = " in result.gain
    assert "rho = 0.5" in result.gain
    assert "rho = 0.5" in found(result, "disease").depends_on


def test_the_share_of_harmed_requests_is_told_before_the_p99() -> None:
    gain = judged_by("loop_blocking").gain

    assert gain.index("took more than 10 ms") < gain.index("p99")


def test_values_measured_before_the_load_are_called_calibrated() -> None:
    result = judged_by("queue_growth")

    assert result.before_load.keys() == {"predicted", "calibrated", "configured"}
    assert "queue.drain_per_s" in result.before_load["calibrated"]
    assert "jobs/s calibrated)" in result.gain


def test_no_mean_over_reports_of_different_streams_is_shown() -> None:
    result = judged_by("loop_blocking")

    assert "jobs.cpu_s" not in result.arms["fixed"]
    assert "report.cpu_ms" in result.arms["fixed"]
