"""From measures to verdicts: pure functions.

An expectation is judged in one of three ways:

- **A promise** must be kept by every run of an arm, also by those that were disturbed and
  discarded. One that is broken fails the experiment, however noisy the machine was.
- **In every block** that is judged: the worst block decides. For what must happen, or never happen.
- **By its interval**, else: it holds if the whole interval is on the right side of the limit, and
  is broken if the whole interval is on the wrong side. In between, it is undecided.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import isinf
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from offloop.measuring.expressions import Expression, Observed
from offloop.measuring.values import Block
from offloop.tables import Table


class Verdict(StrEnum):
    """What a run says."""

    PASS = "pass"  # noqa: S105 - a word, not a password
    FAIL = "fail"
    NO_VERDICT = "no_verdict"


class Status(StrEnum):
    """What became of a value."""

    MEASURED = "measured"
    #: It falls among what failed, or never came: it compares as infinite.
    NEVER = "never"
    #: A block lacks it.
    MISSING = "missing"


Op = Literal["<=", ">="]


def parses(text: str) -> str:
    """Check that a text is an expression, and return it.

    Raises:
        ValueError: it is not, or there is no such measure.
    """
    Expression.parse(text)
    return text


class Expectation(Table):
    """One limit on one measure."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Its name, in small letters: `run.json` and messages use it."""
    measure: Annotated[str, AfterValidator(parses)]
    """`ARM.MEASURE`, or a ratio, `ARM.MEASURE / ARM.MEASURE`. `docs/measures.md` lists all
    measures."""
    op: Op
    """On which side of the limit the value has to be."""
    limit: float
    """The limit, in the unit of the measure."""
    every_block: bool = False
    """Judge the worst block, not the interval over all blocks. For what must happen every time."""
    promise: bool = False
    """Judge every run of the arm, also a disturbed one. If one breaks it, the experiment fails,
    whatever else holds. For what must never happen: a lost job, a double bill."""
    says: str
    """The expectation in words: the heading of its row in the table."""
    why: str
    """Why the limit is where it is."""


class Judged(BaseModel):
    """One limit and what was observed. `ok` is None where nothing is decided."""

    id: str
    measure: str
    op: Op
    limit: float
    #: Null where it is missing, or never came: `status` says which.
    observed: float | None
    #: The interval of what was observed; null for what is no estimate.
    low: float | None = None
    high: float | None = None
    status: Status = Status.MEASURED
    #: How many values it rests on; null where that has no meaning.
    n: int | None = None
    ok: bool | None
    promise: bool = False
    #: The median over the seconds of all blocks, of ratios of requests: shown, and not judged.
    typical_second: float | None = None
    #: What the value depends on: how long a report takes, and how busy its builder is.
    depends_on: str = ""
    says: str
    why: str

    @property
    def undecided(self) -> bool:
        """Whether more blocks may decide it."""
        return self.ok is None and self.status is not Status.MISSING


def check(observed: float | None, op: Op, limit: float) -> bool | None:
    """Hold a value against its limit; a value that is missing is neither right nor wrong."""
    if observed is None:
        return None
    return observed <= limit if op == "<=" else observed >= limit


def judged(  # noqa: PLR0913 - the columns of the table that it becomes a row of
    id_: str,
    measure: str,
    observed: float | None,
    op: Op,
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
        observed=None if observed is None or isinf(observed) else observed,
        status=_status(observed),
        ok=check(observed, op, limit),
        says=says,
        why=why,
    )


def judge(expectation: Expectation, blocks: Sequence[Block], every_run: Sequence[Block]) -> Judged:
    """Judge one expectation.

    Args:
        expectation: The limit.
        blocks: The blocks that are judged.
        every_run: Every run of every arm, the disturbed and discarded ones as well.
    """
    expression = Expression.parse(expectation.measure)
    if expectation.promise:
        return _worst(expectation, expression, every_run, blocks)
    if expectation.every_block:
        return _worst(expectation, expression, blocks, blocks)
    return _by_interval(expectation, expression, blocks)


def _worst(
    expectation: Expectation,
    expression: Expression,
    runs: Sequence[Block],
    blocks: Sequence[Block],
) -> Judged:
    """Judge the worst of some runs.

    One that breaks the limit decides, even if another run lacks the value. A block that is judged
    may not lack it. A run that is only looked at for promises may: an event may have come too late.
    """
    values = expression.known_in(runs)
    worst = max if expectation.op == "<=" else min
    observed = worst(values) if values else None
    if check(observed, expectation.op, expectation.limit) and expression.lacks_in(blocks):
        observed = None
    found = judged(
        expectation.id,
        expectation.measure,
        observed,
        expectation.op,
        expectation.limit,
        expectation.says,
        expectation.why,
    )
    return found.model_copy(update={"promise": expectation.promise, "n": len(values) or None})


def _by_interval(
    expectation: Expectation, expression: Expression, blocks: Sequence[Block]
) -> Judged:
    observed = expression.over(blocks)
    return Judged(
        **expectation.model_dump(exclude={"every_block"}),
        **_values(observed),
        ok=_side(observed, expectation.op, expectation.limit),
        typical_second=None if observed is None else expression.typical_second(blocks),
    )


def _values(observed: Observed | None) -> dict[str, float | int | Status | None]:
    if observed is None:
        return {"observed": None, "status": Status.MISSING}
    low, high = observed.interval or (None, None)
    return {
        "observed": _finite(observed.value),
        "low": _finite(low),
        "high": _finite(high),
        "status": _status(observed.value),
        "n": observed.n,
    }


def _side(observed: Observed | None, op: Op, limit: float) -> bool | None:
    """Say on which side of the limit the interval is; None where it is on both."""
    if observed is None:
        return None
    ends = observed.interval or (observed.value,)
    sides = {check(end, op, limit) for end in ends}
    return sides.pop() if len(sides) == 1 else None


def _status(value: float | None) -> Status:
    if value is None:
        return Status.MISSING
    return Status.NEVER if isinf(value) else Status.MEASURED


def _finite(value: float | None) -> float | None:
    return None if value is None or isinf(value) else value


def experiment_verdict(expectations: Sequence[Judged], validity: Sequence[Judged]) -> Verdict:
    """Give the verdict of one experiment.

    A broken promise fails it, whatever else holds. Otherwise there is none unless the measurement
    was valid.
    """
    if any(judged.promise and judged.ok is False for judged in expectations):
        return Verdict.FAIL
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
