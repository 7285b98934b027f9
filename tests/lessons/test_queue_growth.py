"""The lesson of `queue_growth`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

import pytest

from tests.lessons.conftest import Json, in_blocks, median_ratio

pytestmark = pytest.mark.slow

ARMS = {"naive", "fixed"}

#: Jobs that the queue of the fixed arm may hold.
LIMIT = 10

SLOPE = "queue.depth_slope_per_s"
DRAIN = "queue.drain_per_s"


def beside(experiment: Json, source: str, arm: str, measure: str) -> float:
    """A measure over what was known of it before the load, block by block, the median."""
    known = [block[source][measure] for block in experiment["before_load_blocks"]]
    return median_ratio(in_blocks(experiment, arm, measure), known)


def test_without_a_limit_the_queue_grows_about_as_predicted_and_no_client_is_told(
    experiment: Json,
) -> None:
    assert 0.3 <= beside(experiment, "predicted", "naive", SLOPE) <= 2
    assert set(in_blocks(experiment, "naive", "report.refused")) == {0}
    assert set(in_blocks(experiment, "naive", "report.failed")) == {0}


def test_predictions_are_made_anew_for_every_block(experiment: Json) -> None:
    known = experiment["before_load_blocks"]

    assert len(known) == len(experiment["blocks"])
    # No two calibrations take the same number of nanoseconds.
    assert len({block["calibrated"][DRAIN] for block in known}) == len(known)
    assert {block["configured"]["queue.depth_max"] for block in known} == {LIMIT}


def test_with_a_limit_the_queue_never_holds_more_and_clients_are_told(
    experiment: Json,
) -> None:
    assert max(in_blocks(experiment, "fixed", "queue.depth_max")) <= LIMIT
    assert min(in_blocks(experiment, "naive", "queue.depth_max")) > LIMIT
    assert min(in_blocks(experiment, "fixed", "report.refused")) > 0


def test_what_is_accepted_does_not_wait_much_longer_than_the_limit_says(
    experiment: Json,
) -> None:
    assert beside(experiment, "predicted", "fixed", "queue.wait_max_ms") <= 2


def test_every_order_is_built_in_the_end_in_both_arms(experiment: Json) -> None:
    for arm in ARMS:
        offered = in_blocks(experiment, arm, "report.offered")

        assert in_blocks(experiment, arm, "report.finished") == offered
        assert set(in_blocks(experiment, arm, "jobs.lost")) == {0}


def test_a_client_that_is_refused_comes_back_no_sooner_than_told(experiment: Json) -> None:
    assert set(in_blocks(experiment, "fixed", "report.early_retries")) == {0}


def test_two_slots_drain_what_is_left_about_as_fast_as_calibrated(
    experiment: Json,
) -> None:
    assert 0.25 <= beside(experiment, "calibrated", "naive", DRAIN) <= 4


def test_a_slot_was_added_in_every_arm_of_every_block(experiment: Json) -> None:
    blocks = len(experiment["blocks"])
    # A run that was disturbed is repeated, and its slot added again.
    added = {(event["block"], event["arm"]) for event in experiment["events"]}

    assert sorted(added) == sorted((block, arm) for block in range(blocks) for arm in ARMS)
    assert {tuple(event["what"]) for event in experiment["events"]} == {("worker-short-2",)}
