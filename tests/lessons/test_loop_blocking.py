"""The lesson of `loop_blocking`, by gross facts that are far from the limits of the experiment.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

ARMS = {"baseline", "naive", "fixed"}

#: Shown once, beside them.
ONCE = {"same_priority"}


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("loop_blocking")["experiments"]["loop_blocking"]
    return found


def ratio(experiment: dict[str, Any], arm: str, other: str) -> float:
    """The p99 of bystanders in one arm over that in another, block by block, the median."""
    p99_ms = "bystander.p99_ms"
    ratios: list[float] = [
        block[arm][p99_ms] / block[other][p99_ms] for block in experiment["blocks"]
    ]
    return median(ratios)


def test_the_disease_is_there(experiment: dict[str, Any]) -> None:
    assert ratio(experiment, "naive", "fixed") >= 10


def test_the_cure_works(experiment: dict[str, Any]) -> None:
    assert ratio(experiment, "fixed", "baseline") <= 5


def test_the_loop_stalls_in_naive_for_most_of_a_report_and_not_in_fixed(
    experiment: dict[str, Any],
) -> None:
    worst_ms = {arm: experiment["arms"][arm]["loop.lag_max_ms"] for arm in ARMS}

    assert worst_ms["naive"] >= 10 * worst_ms["fixed"]


def test_both_sides_built_the_same_reports_all_of_them(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    for id_ in ("report_same_bytes", "naive_report_finished", "fixed_report_finished"):
        assert checks[id_]["ok"], checks[id_]


def test_the_price_is_measured(experiment: dict[str, Any]) -> None:
    arms = experiment["arms"]

    assert arms["fixed"]["stack.processes"] > arms["naive"]["stack.processes"]
    assert arms["fixed"]["stack.memory_peak_bytes"] > arms["naive"]["stack.memory_peak_bytes"]
    for arm in ("naive", "fixed"):
        assert arms[arm]["report.seen_p95_ms"] > 0
        assert arms[arm]["lab.memory_peak_bytes"] > arms[arm]["stack.memory_peak_bytes"]


def test_theory_is_in_sight_of_what_was_measured(experiment: dict[str, Any]) -> None:
    predicted_ms = experiment["predicted"]["bystander.p99_ms"]
    measured_ms = experiment["arms"]["naive"]["bystander.p99_ms"]

    assert 0.3 <= measured_ms / predicted_ms <= 3


def test_evidence_names_the_work_where_it_is_done_and_not_in_the_api_that_handed_it_over(
    at_work: set[tuple[str, str]],
) -> None:
    assert at_work == {("naive", "naive"), ("fixed", "worker-long-1")}


def test_run_json_holds_everything(bench: Bench, experiment: dict[str, Any]) -> None:
    run = bench("loop_blocking")

    assert run["schema"] == "offloop.run/1"
    assert not run["interrupted"]
    assert run["wall_s"] > 0
    assert experiment["error"] is None
    first, second = experiment["blocks"]
    assert experiment["arms"].keys() == first.keys() == ARMS | ONCE
    assert second.keys() == ARMS
    assert experiment["judged_blocks"] == [0, 1]
    assert experiment["load"]["streams"]["report"]["run_s"] > 0
    assert {each["id"] for each in experiment["expectations"]} >= {"disease", "cure_response"}
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
