"""From blocks to a judged result: pure."""

from collections.abc import Sequence
from typing import Any

import pytest

from offloop.bench.question import Question
from offloop.bench.telling import tell_result
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.judging import (
    Measured,
    another_block,
    block_values,
    conditions,
    judge_blocks,
    values_of,
)
from offloop.measuring.results import ExperimentResult
from offloop.measuring.values import NEVER, Block, Recorded
from offloop.measuring.verdicts import Expectation, Status, Verdict
from tests.bench.support import Values, loop_blocking, measured

#: What a report was calibrated to cost before a block.
CALIBRATED = {"report": {"runs_s": [0.6], "run_s": 0.6, "per_second": 0.833}}


def block(**arms: Values) -> Block:
    return {arm: measured(values) for arm, values in arms.items()}


def expecting(measure: str, op: str = "<=", limit: float = 1, **keys: bool) -> Expectation:
    table = {"id": "one", "measure": measure, "op": op, "limit": limit, "says": "", "why": ""}
    return Expectation.model_validate(table | keys)


def judged(
    *blocks: Block,
    expect: Sequence[Expectation] = (),
    question: Question | None = None,
    discarded: Sequence[Block] = (),
    calibrations: Sequence[dict[str, Any]] | None = None,
) -> ExperimentResult:
    known = [CALIBRATED] * len(blocks) if calibrations is None else list(calibrations)
    found = ExperimentResult(verdict=Verdict.NO_VERDICT, title="", load={}, calibrations=known)
    runs = Measured(frozenset({"naive"}), list(blocks), list(discarded))
    tell_result(found, question or loop_blocking(), judge_blocks(found, expect, runs, lambda _: []))
    return found


def speed(value: float, taken: float = 0.0) -> Values:
    return {"gzip.speedup": value, TAKEN: taken}


def test_values_are_combined_over_the_judged_blocks_as_the_catalogue_says() -> None:
    found = judged(
        block(naive={**speed(1), "ping.failed": 2}),
        block(naive={**speed(9, taken=0.3), "ping.failed": 7}),
        block(naive={**speed(4), "ping.failed": 3}),
    )

    assert found.judged_blocks == [0, 2]
    assert found.arms == {"naive": {"gzip.speedup": 2.5, TAKEN: 0, "ping.failed": 5}}
    detail = found.details["naive"]["gzip.speedup"]
    assert (detail.status, detail.n, detail.low, detail.high) == (Status.MEASURED, 2, 1, 4)


def test_a_value_that_is_never_is_null_with_a_status() -> None:
    found = judged(block(naive={"ping.response_ms": (1.0, NEVER)}))

    assert found.arms["naive"]["ping.p50_ms"] == 1
    assert found.arms["naive"]["ping.p99_ms"] is None
    assert found.details["naive"]["ping.p99_ms"].status is Status.NEVER


def test_a_measure_that_a_block_lacks_has_no_value() -> None:
    found = judged(
        block(naive={"gzip.speedup": 1, "gzip.cores": 1}), block(naive={"gzip.cores": 3})
    )

    assert found.arms == {"naive": {"gzip.cores": 2}}


def test_an_arm_that_ran_only_in_a_disturbed_block_is_shown_and_named() -> None:
    found = judged(block(naive=speed(1, 0.3), once=speed(7, 0.3)), block(naive=speed(2)))

    assert found.arms["once"]["gzip.speedup"] == 7
    assert found.arms["naive"]["gzip.speedup"] == 2
    assert found.disturbed_arms == ["once"]


def test_predictions_are_kept_apart_from_the_arms() -> None:
    blocks = [
        block(naive={"gzip.cores": naive}, predicted={"gzip.cores": predicted})
        for naive, predicted in [(10, 10), (12, 8), (9, 11)]
    ]
    expect = [expecting("naive.gzip.cores / predicted.gzip.cores", every_block=True)]

    found = judged(*blocks, expect=expect)

    # Of each block, what was predicted for that block.
    assert [each.observed for each in found.expectations] == [1.5]
    assert found.arms == {"naive": {"gzip.cores": 10}}
    assert found.before_load == {"predicted": {"gzip.cores": 10}}


def test_only_a_promise_looks_at_disturbed_and_discarded_runs() -> None:
    broken, kept = block(naive={"jobs.lost": 1, TAKEN: 0.3}), block(naive={"jobs.lost": 0})
    promise = [expecting("naive.jobs.lost", limit=0, promise=True)]
    always = [expecting("naive.jobs.lost", limit=0, every_block=True)]

    for blocks, discarded in [((kept, broken), ()), ((kept,), (broken,))]:
        found = judged(*blocks, expect=promise, discarded=discarded)
        assert found.verdict is Verdict.FAIL
        assert judged(*blocks, expect=always, discarded=discarded).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("measure", "depends"),
    [
        ("naive.ping.p99_ms / fixed.ping.p99_ms", True),
        ("naive.ping.p99_ms / predicted.ping.p99_ms", False),
        ("naive.ping.p99_ms", False),
        ("naive.jobs.count / fixed.jobs.count", False),
    ],
)
def test_ratios_of_times_are_reported_with_report_length_and_utilisation(
    measure: str, depends: bool
) -> None:
    (found,) = judged(block(naive={}), expect=[expecting(measure)]).expectations

    assert found.depends_on == ("report: S = 0.60 s, rho = 0.50" if depends else "")


def test_report_length_and_utilisation_are_medians_of_the_judged_blocks() -> None:
    disturbed = {**speed(1), TAKEN: 0.3}
    slow, usual, fast = (
        {"report": {"runs_s": [s], "run_s": s, "per_second": 1.0}} for s in (0.9, 0.5, 0.4)
    )

    found = judged(
        *(block(naive=each) for each in (disturbed, speed(1), speed(1))),
        calibrations=[slow, fast, usual],
    )

    assert conditions(found) == "report: S = 0.45 s, rho = 0.45"
    assert conditions(judged(block(naive={}), calibrations=[{}])) == ""


def test_sentences_about_arms_that_are_only_shown_come_last() -> None:
    question = loop_blocking()
    silent = question.model_copy(
        update={"story": question.story.model_copy(update={"shown": None})}
    )
    shown = block(naive={}, same_priority={"bystander.p99_ms": 4.0})

    told, untold = judged(shown), judged(shown, question=silent)

    assert told.gain.endswith("(report: S = 0.60 s, rho = 0.50)")
    assert told.price.startswith(f"{untold.price} Which part of the cure is the queue")
    assert "took 4.00 ms (p99 of 1,200)" in told.price


def test_values_of_a_block_are_those_of_its_numbers_and_samples() -> None:
    recorded = Recorded(
        {"ping.offered": 2},
        {"ping.wait_ms": (2.0, NEVER), "second:0.ping.wait_ms": (2.0,), "ping.dispatch_lag_ms": ()},
    )

    assert values_of(recorded) == {
        "ping.offered": 2,
        "ping.wait_p50_ms": 2,
        "ping.wait_p95_ms": None,
        "ping.wait_max_ms": None,
    }
    assert block_values({"naive": Recorded()}) == {"naive": {}}


def runs(*taken: float, values: Sequence[float] = ()) -> Measured:
    """Blocks from which this was taken; in each a measure has one of these values, or 5."""
    blocks = [
        block(naive=speed(values[number] if values else 5, share), once=speed(1, 0.9))
        for number, share in enumerate(taken)
    ]
    return Measured(frozenset({"naive"}), blocks)


@pytest.mark.parametrize(
    ("taken", "why"),
    [
        ((), "planned"),
        ((0.3, 0), "planned"),
        ((0, 0, 0), None),
        ((0.3, 0, 0), "in place of a disturbed one"),
        ((0.3, 0, 0, 0.3), "in place of a disturbed one"),
        ((0.3, 0, 0, 0.3, 0), None),
        # At most five are run.
        ((0.3, 0, 0, 0.3, 0.3), None),
        # A machine that was quiet in none of them will not become quiet.
        ((0.3, 0.3, 0.3), None),
    ],
)
def test_blocks_are_run_until_enough_are_undisturbed_or_the_limit(
    taken: tuple[float, ...], why: str | None
) -> None:
    expect = [expecting("naive.gzip.speedup", limit=6)]

    assert another_block(runs(*taken), expect, planned=3, at_most=5) == why


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((5, 5, 5), None),
        ((7, 7, 8), None),
        ((5, 5, 8), "undecided: one"),
        ((5, 8, 5, 8), "undecided: one"),
        ((5, 8, 5, 8, 5), None),
    ],
)
def test_more_blocks_are_run_while_an_expectation_is_undecided(
    values: tuple[float, ...], why: str | None
) -> None:
    measured_so_far = runs(*(0.0 for _ in values), values=values)
    expect = [expecting("naive.gzip.speedup", limit=6), expecting("naive.gzip.cores")]

    assert another_block(measured_so_far, expect, planned=3, at_most=5) == why


def test_a_fail_that_is_decided_takes_no_more_blocks() -> None:
    measured_so_far = runs(0, 0, 0, values=(5, 5, 8))
    undecided, broken = (
        expecting("naive.gzip.speedup", limit=limit).model_copy(update={"id": id_})
        for id_, limit in (("undecided", 6), ("broken", 4))
    )

    assert another_block(measured_so_far, [undecided], planned=3, at_most=5) is not None
    assert another_block(measured_so_far, [undecided, broken], planned=3, at_most=5) is None


def test_every_run_is_each_block_and_what_was_discarded() -> None:
    measured_so_far = runs(0, 0.3)
    measured_so_far.discarded.append(block(naive=speed(9)))

    kept, blocks = measured_so_far.judged()

    assert kept == [0]
    assert blocks == [measured_so_far.blocks[0], {}]
    assert len(measured_so_far.every_run) == 3
