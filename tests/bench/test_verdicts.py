import itertools
from typing import Literal

import pytest

from offloop.bench.question import Expectation
from offloop.bench.verdicts import (
    Judged,
    Verdict,
    check,
    experiment_verdict,
    judge,
    run_verdict,
)

DISEASE = Expectation(
    id="disease",
    measure="naive.bystander.p99_ms / fixed.bystander.p99_ms",
    op=">=",
    limit=50,
    says="naive hurts",
    why="a tenth of a second is felt",
)


def judged(*, ok: bool | None) -> Judged:
    return Judged(
        **DISEASE.model_dump(exclude={"id", "every_block"}),
        id="any",
        observed=None if ok is None else 1,
        ok=ok,
    )


def block(naive: float | None, fixed: float) -> dict[str, dict[str, float]]:
    return {
        "naive": {} if naive is None else {"bystander.p99_ms": naive},
        "fixed": {"bystander.p99_ms": fixed},
    }


@pytest.mark.parametrize(("op", "right", "wrong"), [("<=", 1.9, 2.1), (">=", 2.1, 1.9)])
def test_a_value_at_its_limit_keeps_it(op: Literal["<=", ">="], right: float, wrong: float) -> None:
    assert check(2, op, 2) is True
    assert check(right, op, 2) is True
    assert check(wrong, op, 2) is False


def test_a_missing_value_neither_keeps_nor_breaks_a_limit() -> None:
    assert check(None, "<=", 2) is None
    assert check(None, ">=", 2) is None


def test_an_expectation_is_judged_by_the_median_which_one_odd_block_does_not_move() -> None:
    found = judge(DISEASE, [block(500, 5), block(4, 5), block(520, 5)])

    assert found.observed == 100
    assert found.ok is True


@pytest.mark.parametrize(("op", "worst"), [("<=", 120), (">=", 80)])
def test_an_expectation_of_every_block_is_judged_by_the_worst_of_them(
    op: Literal["<=", ">="], worst: float
) -> None:
    always = DISEASE.model_copy(update={"every_block": True, "op": op, "limit": 100})

    found = judge(always, [block(500, 5), block(400, 5), block(600, 5)])

    assert found.observed == worst
    assert found.ok is False


def test_a_block_that_does_not_say_leaves_an_expectation_of_every_block_open() -> None:
    always = DISEASE.model_copy(update={"every_block": True})

    assert judge(always, [block(500, 5), block(None, 5)]).ok is None


def test_an_expectation_keeps_its_words_and_its_reason() -> None:
    found = judge(DISEASE, [block(10, 5)])

    assert found.ok is False
    assert (found.says, found.why, found.limit) == (DISEASE.says, DISEASE.why, DISEASE.limit)


def test_an_expectation_cannot_be_judged_if_a_block_lacks_its_measure() -> None:
    found = judge(DISEASE, [block(500, 5), block(None, 5), block(500, 5)])

    assert found.observed is None
    assert found.ok is None


@pytest.mark.parametrize(
    ("expectations", "verdict"),
    [
        ([True, True], Verdict.PASS),
        ([True, False], Verdict.FAIL),
        ([None, False], Verdict.FAIL),
        ([True, None], Verdict.NO_VERDICT),
        ([], Verdict.NO_VERDICT),
    ],
)
def test_of_a_valid_measurement_what_fails_outweighs_what_is_missing(
    expectations: list[bool | None], verdict: Verdict
) -> None:
    found = experiment_verdict([judged(ok=ok) for ok in expectations], [judged(ok=True)])

    assert found is verdict


@pytest.mark.parametrize("expectation", [True, False, None])
@pytest.mark.parametrize("doubt", [False, None])
def test_an_invalid_measurement_has_no_verdict_whatever_it_shows(
    expectation: bool | None, doubt: bool | None
) -> None:
    validity = [judged(ok=True), judged(ok=doubt), judged(ok=True)]

    assert experiment_verdict([judged(ok=expectation)], validity) is Verdict.NO_VERDICT


def test_a_run_fails_before_it_has_no_verdict_and_has_none_before_it_passes() -> None:
    for verdicts in itertools.product(Verdict, repeat=3):
        found = run_verdict(verdicts)

        if Verdict.FAIL in verdicts:
            assert found is Verdict.FAIL
        elif Verdict.NO_VERDICT in verdicts:
            assert found is Verdict.NO_VERDICT
        else:
            assert found is Verdict.PASS


def test_a_run_of_nothing_has_not_passed() -> None:
    assert run_verdict([]) is Verdict.NO_VERDICT


def test_a_tail_may_be_compared_second_by_second() -> None:
    usual = {"second:0.bystander.p99_ms": 4.0, "second:1.bystander.p99_ms": 4.0}
    spoiled = {"second:0.bystander.p99_ms": 80.0, "second:1.bystander.p99_ms": 4.0}
    slow = {"second:0.bystander.p99_ms": 80.0, "second:1.bystander.p99_ms": 8.0}
    cure = DISEASE.model_copy(
        update={
            "measure": "fixed.bystander.p99_ms / baseline.bystander.p99_ms",
            "op": "<=",
            "limit": 1.5,
            "each_second": True,
        }
    )

    # One burst in each of the blocks is in half of the seconds, and no more.
    assert judge(cure, [{"fixed": usual, "baseline": usual}] * 3).observed == 1
    assert judge(
        cure, [{"fixed": spoiled, "baseline": usual}, {"fixed": usual, "baseline": usual}]
    ).ok
    assert judge(cure, [{"fixed": slow, "baseline": usual}] * 3).ok is False
