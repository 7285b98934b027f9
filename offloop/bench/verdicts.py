"""From measures to verdicts: pure functions."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

from offloop.bench.expressions import Measures, in_every_block, observe, seconds_of
from offloop.bench.question import Expectation


class Verdict(StrEnum):
    """What a run says."""

    PASS = "pass"  # noqa: S105 - a word, not a password
    FAIL = "fail"
    NO_VERDICT = "no_verdict"


class Judged(BaseModel):
    """One limit and what was observed. ``ok`` is None where nothing could be observed."""

    id: str
    measure: str
    op: Literal["<=", ">="]
    limit: float
    observed: float | None
    ok: bool | None
    says: str
    why: str


def check(observed: float | None, op: Literal["<=", ">="], limit: float) -> bool | None:
    """Hold a value against its limit; a value that is missing is neither right nor wrong."""
    if observed is None:
        return None
    return observed <= limit if op == "<=" else observed >= limit


def judged(  # noqa: PLR0913 - the columns of the table that it becomes a row of
    id_: str,
    measure: str,
    observed: float | None,
    op: Literal["<=", ">="],
    limit: float,
    says: str,
    why: str,
) -> Judged:
    """Hold an observed value, which may be missing, against a limit."""
    return Judged(
        id=id_,
        measure=measure,
        op=op,
        limit=limit,
        observed=observed,
        ok=check(observed, op, limit),
        says=says,
        why=why,
    )


def judge(expectation: Expectation, blocks: Sequence[Mapping[str, Measures]]) -> Judged:
    """Judge one expectation by its median over blocks, or their seconds, or by the worst block."""
    if expectation.each_second:
        blocks = seconds_of(blocks)
    if expectation.every_block:
        worst = max if expectation.op == "<=" else min
        values = in_every_block(expectation.measure, blocks)
        observed = worst(values) if values else None
    else:
        observed = observe(expectation.measure, blocks)
    return Judged(
        **expectation.model_dump(exclude={"every_block", "each_second"}),
        observed=observed,
        ok=check(observed, expectation.op, expectation.limit),
    )


def experiment_verdict(expectations: Sequence[Judged], validity: Sequence[Judged]) -> Verdict:
    """Give the verdict of one experiment: none at all unless the measurement was valid."""
    if not expectations or any(judged.ok is not True for judged in validity):
        return Verdict.NO_VERDICT
    if any(judged.ok is False for judged in expectations):
        return Verdict.FAIL
    if any(judged.ok is None for judged in expectations):
        return Verdict.NO_VERDICT
    return Verdict.PASS


def run_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Give the verdict of a run: the worst of its experiments, fail before no verdict."""
    for worst in (Verdict.FAIL, Verdict.NO_VERDICT):
        if worst in verdicts:
            return worst
    return Verdict.PASS if verdicts else Verdict.NO_VERDICT
