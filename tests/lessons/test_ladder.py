"""The lesson of `ladder`, by gross facts that are far from its limits.

These fail when a low rung stops hurting, and when a high one starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

P99 = "before:kill.bystander.p99_ms"

#: Rungs that keep an order in the memory of the API, and say so with a `202`.
PROMISING = ("background_async", "background_sync")


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("ladder")["experiments"]["ladder"]
    return found


def beside_the_baseline(experiment: dict[str, Any], arm: str) -> float:
    """The p99 of bystanders over that of the baseline, block by block, the median."""
    ratios: list[float] = [
        block[arm][P99] / block["baseline"]["bystander.p99_ms"]
        for block in experiment["blocks"]
        if arm in block
    ]
    return median(ratios)


def test_the_lowest_rung_stalls_the_others_and_the_highest_does_not(
    experiment: dict[str, Any],
) -> None:
    naive, fixed = (beside_the_baseline(experiment, arm) for arm in ("naive", "fixed"))

    assert naive / fixed >= 8


def test_a_request_that_only_waits_stalls_nobody(experiment: dict[str, Any]) -> None:
    assert beside_the_baseline(experiment, "awaited") <= 6


def test_computing_on_the_loop_stalls_the_others_whenever_it_is_done(
    experiment: dict[str, Any],
) -> None:
    other_processes = beside_the_baseline(experiment, "process_pool")

    assert beside_the_baseline(experiment, "background_async") >= 3 * other_processes


@pytest.mark.parametrize("arm", PROMISING)
def test_what_is_promised_from_memory_is_lost_with_it(experiment: dict[str, Any], arm: str) -> None:
    assert experiment["arms"][arm]["kill.lost"] >= 1


def test_only_a_queue_keeps_an_order_that_the_api_was_killed_over(
    experiment: dict[str, Any],
) -> None:
    undone = {
        arm: measures["kill.undone"]
        for arm, measures in experiment["arms"].items()
        if "kill.undone" in measures
    }

    assert {arm for arm, orders in undone.items() if not orders} == {"fixed"}


def test_what_was_queued_is_never_lost(experiment: dict[str, Any]) -> None:
    assert max(block["fixed"]["jobs.lost"] for block in experiment["blocks"]) == 0


def test_every_rung_has_a_row_in_which_little_is_empty(experiment: dict[str, Any]) -> None:
    table = experiment["table"]

    assert len(table["rows"]) == len(experiment["arms"]) - 1  # no row for the baseline
    for name, *cells in table["rows"]:
        # The CPU time of a report is not known everywhere, and a rung that takes long to start may
        # not be there in time for being asked to end.
        assert cells.count("") <= 2, name


def test_everything_that_is_told_was_measured(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
