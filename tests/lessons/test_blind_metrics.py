"""The lesson of `blind_metrics`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

BOTH = ("naive", "fixed")


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("blind_metrics")["experiments"]["blind_metrics"]
    return found


def in_blocks(experiment: dict[str, Any], arm: str, measure: str) -> list[float]:
    return [block[arm][measure] for block in experiment["blocks"]]


def share_seen(experiment: dict[str, Any], arm: str) -> float:
    """The largest lag that was seen over the largest that there was, the median of all blocks."""
    seen = in_blocks(experiment, arm, "scrape.lag_seen_max_ms")
    real = in_blocks(experiment, arm, "stalls.largest_ms")
    return median(one / other for one, other in zip(seen, real, strict=True))


@pytest.mark.parametrize("arm", BOTH)
def test_both_stall(experiment: dict[str, Any], arm: str) -> None:
    assert min(in_blocks(experiment, arm, "stalls.seen")) >= 1
    assert min(in_blocks(experiment, arm, "stalls.largest_ms")) >= 200


def test_on_the_loop_what_arrives_shows_a_healthy_service(experiment: dict[str, Any]) -> None:
    assert share_seen(experiment, "naive") <= 0.5


def test_on_the_loop_scrapes_are_missing_and_most_of_them_during_stalls(
    experiment: dict[str, Any],
) -> None:
    missed = sum(in_blocks(experiment, "naive", "scrape.missed"))

    assert missed >= 1
    assert sum(in_blocks(experiment, "naive", "scrape.missed_outside_stalls")) <= missed / 2


def test_off_the_loop_nearly_every_scrape_is_answered_and_shows_the_stall(
    experiment: dict[str, Any],
) -> None:
    offered = sum(in_blocks(experiment, "fixed", "scrape.offered"))

    assert sum(in_blocks(experiment, "fixed", "scrape.missed")) <= offered / 5
    assert 0.7 <= share_seen(experiment, "fixed") <= 1.3


def test_off_the_loop_the_code_that_holds_it_has_a_name(experiment: dict[str, Any]) -> None:
    assert median(in_blocks(experiment, "fixed", "stalls.named_share")) >= 0.75
    assert all("stalls.named_share" not in block["naive"] for block in experiment["blocks"])


def test_the_name_is_that_of_the_evidence(experiment: dict[str, Any]) -> None:
    if experiment["evidence_missing"]:
        pytest.skip(experiment["evidence_missing"])

    (found,) = experiment["evidence"]

    assert (found["arm"], found["process"]) == ("fixed", "naive")
    assert found["file"].startswith("reports/")


def test_all_arms_built_the_same_reports_all_of_them(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    assert checks["report_same_bytes"]["ok"]
    for arm in BOTH:
        assert checks[f"{arm}_report_finished"]["ok"], checks[f"{arm}_report_finished"]


def test_everything_that_is_told_was_measured(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
