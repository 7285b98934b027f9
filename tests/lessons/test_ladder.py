"""The lesson of `ladder`, by gross facts that are far from its limits.

These fail when a low rung stops hurting, and when a high one starts to.
"""

import pytest

from tests.lessons.conftest import Json, in_blocks, ratio

pytestmark = pytest.mark.slow

P99 = "before:kill.bystander.p99_ms"

#: Rungs that keep an order in the memory of the API, and say so with a `202`.
PROMISING = ("background_async", "background_sync")


def test_the_lowest_rung_stalls_bystanders_and_the_highest_does_not(
    experiment: Json,
) -> None:
    assert ratio(experiment, f"naive.{P99}", f"fixed.{P99}") >= 8


def test_a_request_that_only_waits_stalls_no_bystander(experiment: Json) -> None:
    assert ratio(experiment, f"awaited.{P99}", "baseline.bystander.p99_ms") <= 6


def test_computing_on_the_loop_stalls_bystanders_whenever_it_is_done(
    experiment: Json,
) -> None:
    assert ratio(experiment, f"background_async.{P99}", f"process_pool.{P99}") >= 3


@pytest.mark.parametrize("arm", PROMISING)
def test_what_is_promised_from_memory_is_lost_with_it(experiment: Json, arm: str) -> None:
    assert experiment["arms"][arm]["kill.lost"] >= 1


def test_only_a_queue_keeps_an_order_that_the_api_was_killed_over(
    experiment: Json,
) -> None:
    undone = {
        arm: measures["kill.undone"]
        for arm, measures in experiment["arms"].items()
        if "kill.undone" in measures
    }

    assert {arm for arm, orders in undone.items() if not orders} == {"fixed"}


def test_what_was_queued_is_never_lost(experiment: Json) -> None:
    assert max(in_blocks(experiment, "fixed", "jobs.lost")) == 0


def test_every_rung_has_a_row_in_which_little_is_empty(experiment: Json) -> None:
    table = experiment["table"]

    assert len(table["rows"]) == len(experiment["arms"]) - 1  # no row for the baseline
    for name, *cells in table["rows"]:
        # The CPU time of a report is not known everywhere, and a rung that takes long to start may
        # not be there in time for being asked to end.
        assert cells.count("") <= 2, name
