"""From blocks to a judged result: pure."""

from offloop.bench.judging import judge_experiment, with_predictions
from offloop.bench.results import ExperimentResult
from offloop.bench.verdicts import Verdict
from tests.bench.support import loop_blocking


def result(*blocks: dict[str, dict[str, float]]) -> ExperimentResult:
    found = ExperimentResult(verdict=Verdict.NO_VERDICT, title="", load={}, blocks=list(blocks))
    judge_experiment(found, loop_blocking(), found.blocks, [])
    return found


def test_an_arm_that_ran_once_is_shown_as_it_was_then() -> None:
    found = result(
        {"naive": {"x": 1.0}, "once": {"x": 7.0}}, {"naive": {"x": 2.0}}, {"naive": {"x": 6.0}}
    )

    assert found.arms == {"naive": {"x": 2.0}, "once": {"x": 7.0}}


def test_a_measure_that_a_block_lacks_has_no_median() -> None:
    found = result({"naive": {"x": 1.0, "y": 1.0}}, {"naive": {"y": 3.0}})

    assert found.arms == {"naive": {"y": 2.0}}


def test_what_every_block_must_keep_may_be_held_against_what_was_predicted() -> None:
    deepest = (
        loop_blocking()
        .expect[0]
        .model_copy(update={"measure": "fixed.deep / predicted.deep", "op": "<=", "limit": 1.0})
    )
    question = loop_blocking().model_copy(
        update={"expect": (deepest.model_copy(update={"every_block": True}),)}
    )
    blocks = [{"fixed": {"deep": 10.0}}, {"fixed": {"deep": 12.0}}, {"fixed": {"deep": 9.0}}]
    found = ExperimentResult(
        verdict=Verdict.NO_VERDICT,
        title="",
        load={},
        blocks=blocks,
        predicted_blocks=[{"deep": 10.0}, {"deep": 8.0}, {"deep": 11.0}],
    )
    first, _, third = with_predictions(found)

    # The second block was disturbed, and is not judged otherwise.
    judge_experiment(found, question, [first, third], [])

    assert [judged.observed for judged in found.expectations] == [1.5]
    assert found.predicted == {"deep": 10.5}


def test_what_is_told_of_arms_that_are_only_shown_comes_last() -> None:
    question = loop_blocking()
    blocks = [{"same_priority": {"bystander.p99_ms": 4.0}}]
    told, untold = (
        ExperimentResult(verdict=Verdict.NO_VERDICT, title="", load={}, blocks=list(blocks))
        for _ in range(2)
    )
    judge_experiment(told, question, blocks, [])
    without = question.model_copy(
        update={"story": question.story.model_copy(update={"shown": None})}
    )
    judge_experiment(untold, without, blocks, [])

    assert told.price.startswith(f"{untold.price} With the worker at the priority of the API")
    assert told.price.endswith(" 4.0 ms.")
