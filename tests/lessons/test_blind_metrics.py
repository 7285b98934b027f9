"""The lesson of `blind_metrics`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median

import pytest

from tests.lessons.conftest import Json, assert_passed, in_blocks, ratio

pytestmark = pytest.mark.slow

BOTH = ("naive", "fixed")


@pytest.mark.parametrize("arm", BOTH)
def test_both_stall(experiment: Json, arm: str) -> None:
    assert min(in_blocks(experiment, arm, "stalls.seen")) >= 1
    assert min(in_blocks(experiment, arm, "stalls.largest_ms")) >= 200


def test_on_the_loop_few_stalls_appear_on_any_scrape(experiment: Json) -> None:
    # Not by the largest lag of all scrapes: one lucky scrape in fifty shows a stall.
    shown = sum(in_blocks(experiment, "naive", "scrape.showed_stall"))

    assert shown <= sum(in_blocks(experiment, "naive", "stalls.seen")) / 2


def test_on_the_loop_scrapes_are_missing_and_most_of_them_during_stalls(
    experiment: Json,
) -> None:
    missed = sum(in_blocks(experiment, "naive", "scrape.missed"))

    assert missed >= 1
    assert sum(in_blocks(experiment, "naive", "scrape.missed_outside_stalls")) <= missed / 2


def test_off_the_loop_nearly_every_scrape_is_answered_and_shows_the_stall(
    experiment: Json,
) -> None:
    offered = sum(in_blocks(experiment, "fixed", "scrape.offered"))

    assert sum(in_blocks(experiment, "fixed", "scrape.missed")) <= offered / 5
    seen = ratio(experiment, "fixed.scrape.lag_seen_max_ms", "fixed.stalls.largest_ms")
    assert 0.7 <= seen <= 1.3


def test_off_the_loop_the_code_that_holds_it_has_a_name(experiment: Json) -> None:
    assert median(in_blocks(experiment, "fixed", "stalls.named_share")) >= 0.75
    assert all("stalls.named_share" not in block["naive"] for block in experiment["blocks"])


def test_the_name_is_that_of_the_evidence(experiment: Json) -> None:
    if experiment["evidence_missing"]:
        pytest.skip(experiment["evidence_missing"])

    (found,) = experiment["evidence"]

    assert (found["arm"], found["process"]) == ("fixed", "naive")
    assert found["file"].startswith("reports/")


def test_all_arms_built_the_same_reports_all_of_them(experiment: Json) -> None:
    assert_passed(experiment, "report_same_bytes", *(f"{arm}_report_finished" for arm in BOTH))
