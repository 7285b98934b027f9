"""Which blocks are judged, whether another one is needed, and what all of them come to."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import isinf
from statistics import median

from offloop.measuring import catalogue
from offloop.measuring.combining import in_block
from offloop.measuring.expressions import PSEUDO_ARMS, Expression, Observed, Term
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.measure import Unit
from offloop.measuring.noise import DISTURBED, is_quiet
from offloop.measuring.results import Detail, ExperimentResult, Values
from offloop.measuring.values import SECOND, Block, Recorded
from offloop.measuring.verdicts import (
    Expectation,
    Judged,
    Status,
    experiment_verdict,
    judge,
    judged,
)

#: Resamples for the intervals of what is only shown: of each of a hundred measures of an arm.
_RESAMPLES_SHOWN = 400


@dataclass
class Measured:
    """Every run of every arm of an experiment, so far.

    Attributes:
        compared: The arms that run in every block: those that decide whether it was disturbed.
        blocks: Each pass over the arms, with what was known before its load under `PSEUDO_ARMS`.
        discarded: Runs that were disturbed and repeated, each as a block of its own.
    """

    compared: frozenset[str]
    blocks: list[Block] = field(default_factory=list)
    discarded: list[Block] = field(default_factory=list)

    @property
    def every_run(self) -> Sequence[Block]:
        """Every run, for what must never happen in any."""
        return [*self.blocks, *self.discarded]

    def judged(self) -> tuple[list[int], list[Block]]:
        """Return the numbers of the blocks that are judged, and what they hold."""
        kept = quiet_blocks(self.blocks, self.compared)
        return kept, only_blocks(self.blocks, kept)


def quiet_blocks(blocks: Sequence[Block], compared: Collection[str]) -> list[int]:
    """Choose the blocks that are judged, by what other programs took, and by nothing else.

    Args:
        blocks: All of them.
        compared: The arms that run in every block.

    Returns:
        The numbers of the blocks in which none of these arms was disturbed, nor the calibration
        before them.
    """
    return [
        number
        for number, block in enumerate(blocks)
        if all(
            is_quiet(found.numbers.get(TAKEN))
            for arm, found in block.items()
            if arm in compared or arm in PSEUDO_ARMS
        )
    ]


def only_blocks(blocks: Sequence[Block], kept: Collection[int]) -> list[Block]:
    """Leave out all blocks but these, except for arms that ran in no other."""
    ran = {arm for number in kept for arm in blocks[number]}
    return [
        {arm: found for arm, found in block.items() if number in kept or arm not in ran}
        for number, block in enumerate(blocks)
    ]


def another_block(
    measured: Measured, expectations: Sequence[Expectation], planned: int, at_most: int
) -> str | None:
    """Say why another block is to be run; None where there are enough.

    Args:
        measured: Every run so far.
        expectations: What is expected.
        planned: Blocks that have to be undisturbed.
        at_most: Blocks that are run at most.
    """
    run = len(measured.blocks)
    if run < planned:
        return "planned"
    if run >= at_most:
        return None
    kept, blocks = measured.judged()
    if not kept:
        return None  # the machine does not become quiet
    if len(kept) < planned:
        return "in place of a disturbed one"
    judged = [judge(each, blocks, measured.every_run) for each in expectations]
    if any(each.ok is False for each in judged):
        return None  # what is still undecided does not change the verdict
    still_open = [each.id for each in judged if each.undecided]
    return f"undecided: {', '.join(still_open)}" if still_open else None


def judge_blocks(
    result: ExperimentResult,
    expectations: Sequence[Expectation],
    measured: Measured,
    checks: Callable[[Sequence[Block]], Sequence[Judged]],
) -> list[Block]:
    """Complete a result: values, expectations, and the verdict.

    Args:
        result: The rest is written into it.
        expectations: What is expected.
        measured: Every run of every arm.
        checks: Says of the blocks whether the measurement is valid.

    Returns:
        The blocks that the values are of: those that are judged or, without any, all.
    """
    result.judged_blocks, blocks = measured.judged()
    # Without any block that is judged, all are shown and checked, but held against no limit.
    judged_blocks = blocks if result.judged_blocks else []
    condition = conditions(result)
    result.expectations = [
        _with_conditions(judge(each, judged_blocks, measured.every_run), condition)
        for each in expectations
    ]
    result.validity = list(checks(blocks))
    result.verdict = experiment_verdict(result.expectations, result.validity)
    _summarise(result, blocks)
    result.disturbed_arms = sorted(
        arm
        for arm, found in _arms(blocks).items()
        if not all(is_quiet(each.numbers.get(TAKEN)) for each in found)
    )
    return blocks


def enough_quiet_blocks(judged_blocks: Sequence[int], planned: int) -> Judged:
    """Check that as many blocks as were planned ran without being disturbed."""
    return judged(
        "undisturbed_blocks",
        f"blocks in which less than {DISTURBED:.0%} of the machine was taken",
        len(judged_blocks),
        ">=",
        planned,
        "the machine was left to this run",
        "what the host or other programs take is in every figure, more in one arm than in another; "
        "a disturbed block is not judged",
    )


def conditions(result: ExperimentResult) -> str:
    """Say how long a report takes and how busy one slot would be with all of them: S and rho.

    Ratios of waits grow with both, so none is printed without them. Both are medians of what was
    calibrated for each judged block, or for every block where none is judged. Bursts of work come
    from no calibration.
    """
    if not result.calibrations:
        return ""
    kept = result.judged_blocks or range(len(result.calibrations))
    calibrated = [result.calibrations[number] for number in kept]
    said = []
    for name in calibrated[0]:
        of_stream = [each[name] for each in calibrated]
        run_s = median(each.run_s for each in of_stream)
        rho = median(each.run_s * each.per_second for each in of_stream)
        said.append(f"{name}: S = {run_s:.2f} s, rho = {rho:.2f}")
    return "; ".join(said)


def _with_conditions(judged: Judged, condition: str) -> Judged:
    terms = Expression.parse(judged.measure).terms
    grows = len({term.arm for term in terms} - set(PSEUDO_ARMS)) > 1 and all(
        catalogue.measure_named(term.measure).unit is Unit.MS for term in terms
    )
    return judged.model_copy(update={"depends_on": condition}) if grows else judged


def values_of(recorded: Recorded) -> dict[str, float | None]:
    """Return every measure of one arm in one block; null for what never came."""
    found = {name: in_block(name, recorded) for name in _names(recorded)}
    return {
        name: None if isinf(value) else value for name, value in found.items() if value is not None
    }


def block_values(block: Block) -> Values:
    """Return every measure of a block."""
    return {arm: values_of(recorded) for arm, recorded in block.items()}


def _names(recorded: Recorded) -> Iterator[str]:
    """Yield the names of all measures that there are, in the order of the catalogue's groups."""
    yield from recorded.numbers
    for of in recorded.samples:
        subject, _, sample = of.rpartition(".")
        if not subject.startswith(SECOND):
            for group in catalogue.GROUPS.values():
                for measure in group:
                    if measure.sample == sample:
                        yield f"{subject}.{measure.name}"


def _arms(blocks: Sequence[Block]) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for block in blocks:
        for arm, recorded in block.items():
            found.setdefault(arm, []).append(recorded)
    return found


def _summarise(result: ExperimentResult, blocks: Sequence[Block]) -> None:
    for arm, found in _arms(blocks).items():
        values: dict[str, float | None] = {}
        details: dict[str, Detail] = {}
        for name in _names(found[0]):
            observed = Expression(Term(arm, name)).over(blocks, _RESAMPLES_SHOWN)
            if observed is not None:
                values[name] = None if isinf(observed.value) else observed.value
                details[name] = _detail(observed)
        into = result.before_load if arm in PSEUDO_ARMS else result.arms
        into[arm] = values
        result.details[arm] = details


def _detail(observed: Observed) -> Detail:
    low, high = observed.interval or (None, None)
    return Detail(
        status=Status.NEVER if isinf(observed.value) else Status.MEASURED,
        n=observed.n,
        low=None if low is None or isinf(low) else low,
        high=None if high is None or isinf(high) else high,
    )
