"""What a result tells: what was asked, and what was found, in words and in its own table."""

from collections.abc import Mapping, Sequence

from offloop.bench.question import Question
from offloop.bench.story import tell
from offloop.bench.table import ArmTable, fill
from offloop.measuring.judging import conditions
from offloop.measuring.results import ExperimentResult
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Verdict
from offloop.tables import Table


def new_result(question: Question, load: Table, arms: Mapping[str, Table]) -> ExperimentResult:
    """Return a result that has what was asked, and nothing that was measured.

    Args:
        question: What is asked.
        load: What every arm gets.
        arms: How each arm is set up.
    """
    settings = {name: arm.model_dump(mode="json", exclude_none=True) for name, arm in arms.items()}
    naive, fixed = settings["naive"], settings["fixed"]
    return ExperimentResult(
        verdict=Verdict.NO_VERDICT,
        title=question.title,
        rule=question.rule,
        question=question.question.strip(),
        prediction=question.prediction.strip(),
        load=load.model_dump(mode="json", exclude_none=True),
        settings=settings,
        differences=sorted(
            key for key in naive.keys() | fixed.keys() if naive.get(key) != fixed.get(key)
        ),
    )


def tell_result(
    result: ExperimentResult,
    question: Question,
    blocks: Sequence[Block],
    table: ArmTable | None = None,
) -> None:
    """Complete a judged result with its words.

    Args:
        result: Gets the gain, the price and the table.
        question: Has the story.
        blocks: Those that the result's values are of.
        table: What to show instead of all measures of all arms, if anything.
    """
    if table is not None:
        result.table = fill(table, blocks, result.disturbed_arms)
    condition = conditions(result)
    gain = tell(question.story.gain.strip(), blocks)
    result.gain = f"{gain} ({condition})" if condition else gain
    price = f"{question.story.price.strip()} {question.story.shown or ''}"
    result.price = tell(price.strip(), blocks)
