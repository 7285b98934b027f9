from collections.abc import Mapping

import pytest

from offloop.bench.experiment import AnyExperiment, Experiment, experiment_files, load_experiment
from offloop.bench.options import QUICK_BLOCKS
from offloop.bench.quick import judged_only, with_longer_blocks
from offloop.bench.streams import RequestStream
from offloop.bench.validity import MIN_REQUESTS
from tests.bench.support import EXPERIMENTS, shipped

SHIPPED = experiment_files(EXPERIMENTS)


def due(experiment: Experiment, stream: str) -> float:
    """The requests that are due in a quick run, on average."""
    each = experiment.load.streams[stream]
    assert isinstance(each, RequestStream)
    lasts_s = min(experiment.load.duration_s, each.until_s or experiment.load.duration_s)
    rates: Mapping[str, float] = each.arrivals.model_dump()
    return QUICK_BLOCKS * lasts_s * rates["rate"]


@pytest.mark.parametrize("slug", SHIPPED)
def test_a_quick_experiment_keeps_its_expectations_and_story(slug: str) -> None:
    whole = load_experiment(SHIPPED[slug])

    left = judged_only(whole)

    assert tuple(left.arms) == whole.judged_arms
    assert left.expect == whole.expect
    assert (left.story.gain, left.story.price) == (whole.story.gain, whole.story.price)
    # As a file it could have been written like that.
    assert type(left).model_validate(left.model_dump(exclude_unset=True)) == left


@pytest.mark.parametrize("slug", SHIPPED)
def test_a_quick_experiment_leaves_out_only_arms_that_are_not_judged(slug: str) -> None:
    whole = load_experiment(SHIPPED[slug])

    left_out = whole.arms.keys() - judged_only(whole).arms.keys()

    assert left_out == whole.arms.keys() - set(whole.judged_arms)
    assert left_out >= {name for name, arm in whole.arms.items() if arm.once}


def test_a_quick_experiment_leaves_out_the_rows_of_missing_arms() -> None:
    left = judged_only(shipped("ladder"))

    assert isinstance(left, Experiment)
    assert left.table is not None
    assert tuple(left.table.rows) == ("naive", "awaited", "fixed")


def test_a_quick_experiment_gathers_no_evidence() -> None:
    whole = shipped("loop_blocking")
    left: AnyExperiment = judged_only(whole)

    assert isinstance(left, Experiment)
    assert whole.evidence
    assert not left.evidence


def test_quick_blocks_are_longer_where_requests_would_be_too_few() -> None:
    whole = shipped("loop_blocking")
    longer = with_longer_blocks(whole)

    assert isinstance(longer, Experiment)
    # With room for arrivals that come at random.
    assert due(whole, "bystander") < MIN_REQUESTS < 0.9 * due(longer, "bystander")


def test_an_experiment_with_enough_requests_is_not_changed() -> None:
    whole = shipped("worker_starvation")

    assert with_longer_blocks(whole) is whole
    assert due(whole, "bystander") > MIN_REQUESTS
