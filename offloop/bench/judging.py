"""From the measures of all blocks to a result that is judged, whatever was run."""

from collections.abc import Mapping, Sequence
from statistics import median

from offloop.bench.expressions import PREDICTED, Measures
from offloop.bench.question import Question
from offloop.bench.results import ExperimentResult
from offloop.bench.story import tell
from offloop.bench.table import ArmTable, fill
from offloop.bench.verdicts import Judged, experiment_verdict, judge


def with_predictions(result: ExperimentResult) -> list[dict[str, Measures]]:
    """Return the blocks of a result, each with what was predicted for it."""
    predicted: Sequence[Measures] = result.predicted_blocks or [{}] * len(result.blocks)
    both = zip(result.blocks, predicted, strict=True)
    return [{**block, PREDICTED: found} for block, found in both]


def judge_experiment(
    result: ExperimentResult,
    question: Question,
    blocks: Sequence[Mapping[str, Measures]],
    checks: Sequence[Judged],
    table: ArmTable | None = None,
) -> None:
    """Complete a result: medians, expectations, verdict, and what happened in words.

    Args:
        result: Holds the blocks; the rest is written into it.
        question: Says what is expected, and how to tell it.
        blocks: Those of the result that are judged, with what was predicted for them.
        checks: Whether the measurement is valid.
        table: What to show instead of all measures of all arms, if anything.
    """
    result.arms = {
        arm: _medians([block[arm] for block in blocks if arm in block]) for arm in result.blocks[0]
    }
    result.predicted = _medians([block[PREDICTED] for block in blocks if PREDICTED in block])
    # What must never happen must not happen in a block that was disturbed, either.
    every = with_predictions(result)
    result.expectations = [
        judge(limit, every if limit.every_block else blocks) for limit in question.expect
    ]
    result.validity = list(checks)
    result.verdict = experiment_verdict(result.expectations, result.validity)
    if table is not None:
        result.table = fill(table, blocks)
    result.gain = tell(question.story.gain.strip(), blocks)
    price = f"{question.story.price.strip()} {question.story.shown or ''}"
    result.price = tell(price.strip(), blocks)


def _medians(blocks: Sequence[Measures]) -> dict[str, float]:
    # As with what is judged: no median of those blocks only that happened to have the measure.
    names = set(blocks[0]).intersection(*blocks[1:]) if blocks else set()
    return {name: median(block[name] for block in blocks) for name in sorted(names)}
