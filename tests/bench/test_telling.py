"""What a result says of its question before anything is measured."""

import pytest

from offloop.bench.telling import new_result
from tests.bench.support import shipped


@pytest.mark.parametrize(
    ("slug", "differences"),
    [("loop_blocking", ["way"]), ("queue_growth", ["queue_limit"])],
)
def test_a_result_has_the_question_and_what_differs_between_the_arms(
    slug: str, differences: list[str]
) -> None:
    experiment = shipped(slug)

    found = new_result(experiment, experiment.load, experiment.arms)

    assert (found.title, found.rule) == (experiment.title, experiment.rule)
    assert found.question == experiment.question.strip()
    assert found.settings.keys() == experiment.arms.keys()
    # What stands in `[stack]` is in every arm.
    assert all("server" in settings for settings in found.settings.values())
    assert found.differences == differences
