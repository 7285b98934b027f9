import itertools
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from offloop.measuring.values import NEVER, Block
from offloop.measuring.verdicts import (
    Expectation,
    Judged,
    Status,
    Verdict,
    check,
    experiment_verdict,
    judge,
    run_verdict,
)
from tests.bench.support import measured

DISEASE = Expectation(
    id="disease",
    measure="naive.bystander.p99_ms / fixed.bystander.p99_ms",
    op=">=",
    limit=50,
    says="naive hurts",
    why="a tenth of a second is felt",
)


def judged(*, ok: bool | None, promise: bool = False) -> Judged:
    said = DISEASE.model_dump(include={"id", "measure", "op", "limit", "says", "why"})
    return Judged(**said, observed=1, ok=ok, promise=promise)


def block(naive: float | None, fixed: float = 5) -> Block:
    return {
        "naive": measured({"bystander.p99_ms": naive}),
        "fixed": measured({"bystander.p99_ms": fixed}),
    }


def of(blocks: Sequence[Block], discarded: Sequence[Block] = (), **changes: Any) -> Judged:  # noqa: ANN401 - any field
    """How an expectation like `DISEASE` is judged."""
    return judge(DISEASE.model_copy(update=changes), blocks, [*blocks, *discarded])


@pytest.mark.parametrize(("op", "right", "wrong"), [("<=", 1.9, 2.1), (">=", 2.1, 1.9)])
def test_a_value_at_its_limit_keeps_it(op: Literal["<=", ">="], right: float, wrong: float) -> None:
    assert check(2, op, 2) is True
    assert check(right, op, 2) is True
    assert check(wrong, op, 2) is False


def test_a_missing_value_is_neither_within_nor_beyond_a_limit() -> None:
    assert check(None, "<=", 2) is None
    assert check(None, ">=", 2) is None


@pytest.mark.parametrize(
    ("op", "limit", "ok"),
    [
        (">=", 50, True),
        (">=", 90, None),
        (">=", 130, False),
        ("<=", 130, True),
        ("<=", 110, None),
        ("<=", 50, False),
    ],
)
def test_an_expectation_is_judged_by_the_whole_interval(
    op: str, limit: float, ok: bool | None
) -> None:
    found = of([block(400), block(500), block(600)], op=op, limit=limit)

    assert (found.observed, found.low, found.high) == (120, 80, 120)
    assert found.ok is ok
    assert found.undecided is (ok is None)
    assert found.n == 3600


def test_an_expectation_of_one_block_is_judged_by_its_value() -> None:
    found = of([block(10)])

    assert (found.observed, found.low, found.high, found.ok) == (2, None, None, False)
    assert (found.says, found.why, found.limit) == (DISEASE.says, DISEASE.why, DISEASE.limit)


@pytest.mark.parametrize(("op", "ok"), [(">=", True), ("<=", False)])
def test_a_value_that_never_came_is_above_every_limit(op: str, ok: bool) -> None:
    found = of([block(NEVER)] * 3, op=op)

    assert (found.observed, found.status, found.ok) == (None, Status.NEVER, ok)
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("every_block", [False, True])
def test_an_expectation_cannot_be_judged_if_a_block_lacks_its_measure(every_block: bool) -> None:
    found = of([block(500), block(None), block(500)], every_block=every_block)

    assert (found.observed, found.status, found.ok) == (None, Status.MISSING, None)
    assert not found.undecided


@pytest.mark.parametrize(("op", "odd", "worst"), [("<=", 600, 120), (">=", 400, 80)])
def test_the_worst_block_is_judged_and_for_a_promise_the_worst_run(
    op: str, odd: float, worst: float
) -> None:
    usual = [block(500), block(500)]
    limits: dict[str, Any] = {"op": op, "limit": 100}
    found = [
        of([*usual, block(odd)], **limits, every_block=True),
        of(usual, [block(odd)], **limits, promise=True),
    ]

    assert [(each.observed, each.ok, each.n) for each in found] == [(worst, False, 3)] * 2
    assert [each.promise for each in found] == [False, True]
    assert of(usual, [block(odd)], **limits, every_block=True).ok is True


def test_a_broken_promise_fails_although_another_run_lacks_the_measure() -> None:
    limits: dict[str, Any] = {"op": "<=", "limit": 100, "promise": True}
    usual = [block(500), block(500)]

    # A run that was discarded may lack it, a block that is judged may not.
    assert of(usual, [block(None)], **limits).ok is True
    assert of([*usual, block(None)], **limits).status is Status.MISSING
    assert of([*usual, block(None)], [block(600)], **limits).ok is False


def test_the_typical_second_is_shown_and_not_judged() -> None:
    quiet = {f"second:{number}.bystander.p99_ms": 5 for number in range(2)}
    burst = {**quiet, "second:1.bystander.p99_ms": 500, "bystander.p99_ms": 500}
    both = {"naive": measured(burst), "fixed": measured({**quiet, "bystander.p99_ms": 5})}

    found = of([both] * 3)

    assert (found.observed, found.typical_second, found.ok) == (100, 50.5, True)


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
def test_a_failed_expectation_outweighs_a_missing_one(
    expectations: list[bool | None], verdict: Verdict
) -> None:
    found = experiment_verdict([judged(ok=ok) for ok in expectations], [judged(ok=True)])

    assert found is verdict


@pytest.mark.parametrize("expectation", [True, False, None])
@pytest.mark.parametrize("doubt", [False, None])
def test_an_invalid_measurement_has_no_verdict_unless_a_promise_is_broken(
    expectation: bool | None, doubt: bool | None
) -> None:
    validity = [judged(ok=True), judged(ok=doubt), judged(ok=True)]
    expected, promised = judged(ok=expectation), judged(ok=expectation, promise=True)
    broken = Verdict.FAIL if expectation is False else Verdict.NO_VERDICT

    assert experiment_verdict([expected], validity) is Verdict.NO_VERDICT
    assert experiment_verdict([judged(ok=True), promised], validity) is broken


def test_a_fail_outweighs_no_verdict_and_no_verdict_outweighs_a_pass() -> None:
    for verdicts in itertools.product(Verdict, repeat=3):
        found = run_verdict(verdicts)

        if Verdict.FAIL in verdicts:
            assert found is Verdict.FAIL
        elif Verdict.NO_VERDICT in verdicts:
            assert found is Verdict.NO_VERDICT
        else:
            assert found is Verdict.PASS


def test_a_run_without_experiments_has_no_verdict() -> None:
    assert run_verdict([]) is Verdict.NO_VERDICT
