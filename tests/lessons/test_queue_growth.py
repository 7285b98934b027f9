"""The lesson of `queue_growth`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

ARMS = {"naive", "fixed"}

SLOPE = "queue.depth_slope_per_s"
DRAIN = "queue.drain_per_s"


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("queue_growth")["experiments"]["queue_growth"]
    return found


def of_every_block(experiment: dict[str, Any], arm: str, measure: str) -> list[float]:
    return [block[arm][measure] for block in experiment["blocks"]]


def test_without_a_limit_the_queue_grows_about_as_predicted_and_nobody_is_told(
    experiment: dict[str, Any],
) -> None:
    grew = median(of_every_block(experiment, "naive", SLOPE)) / experiment["predicted"][SLOPE]

    assert 0.3 <= grew <= 2
    assert set(of_every_block(experiment, "naive", "report.refused")) == {0}
    assert set(of_every_block(experiment, "naive", "report.failed")) == {0}


def test_predictions_are_made_anew_for_every_block(experiment: dict[str, Any]) -> None:
    predicted = experiment["predicted_blocks"]

    assert len(predicted) == len(experiment["blocks"])
    # No two calibrations take the same number of nanoseconds.
    assert len({block[DRAIN] for block in predicted}) == len(predicted)
    assert {block["queue.depth_max"] for block in predicted} == {10}


def test_with_a_limit_the_queue_never_holds_more_and_somebody_is_told(
    experiment: dict[str, Any],
) -> None:
    limit = experiment["predicted"]["queue.depth_max"]

    assert max(of_every_block(experiment, "fixed", "queue.depth_max")) <= limit
    assert min(of_every_block(experiment, "naive", "queue.depth_max")) > limit
    assert min(of_every_block(experiment, "fixed", "report.refused")) > 0


def test_what_is_accepted_does_not_wait_much_longer_than_the_limit_says(
    experiment: dict[str, Any],
) -> None:
    longest_ms = median(of_every_block(experiment, "fixed", "queue.wait_max_ms"))

    assert longest_ms <= 2 * experiment["predicted"]["queue.wait_max_ms"]


def test_every_order_is_built_in_the_end_in_both_arms(experiment: dict[str, Any]) -> None:
    for arm in ARMS:
        offered = of_every_block(experiment, arm, "report.offered")

        assert of_every_block(experiment, arm, "report.finished") == offered
        assert set(of_every_block(experiment, arm, "jobs.lost")) == {0}


def test_whoever_is_refused_comes_back_no_sooner_than_told(experiment: dict[str, Any]) -> None:
    assert set(of_every_block(experiment, "fixed", "report.early_retries")) == {0}


def test_two_slots_drain_what_is_left_about_as_fast_as_calibrated(
    experiment: dict[str, Any],
) -> None:
    drained = median(of_every_block(experiment, "naive", DRAIN)) / experiment["predicted"][DRAIN]

    assert 0.25 <= drained <= 4


def test_a_slot_was_added_in_every_arm_of_every_block(experiment: dict[str, Any]) -> None:
    blocks = len(experiment["blocks"])
    added = [(event["block"], event["arm"]) for event in experiment["events"]]

    assert sorted(added) == sorted((block, arm) for block in range(blocks) for arm in ARMS)
    assert {tuple(event["what"]) for event in experiment["events"]} == {("worker-short-2",)}


def test_everything_that_is_told_was_measured(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
