"""The lesson of `slow_job_starvation`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

ARMS = {"naive", "fixed", "default_prefetch"}


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("slow_job_starvation")["experiments"]["slow_job_starvation"]
    return found


def ratio(experiment: dict[str, Any], measure: str, arm: str, other: str) -> float:
    """A measure in one arm over that in another, block by block, the median."""
    ratios: list[float] = [
        block[arm][measure] / block[other][measure] for block in experiment["blocks"]
    ]
    return median(ratios)


def test_the_disease_is_there(experiment: dict[str, Any]) -> None:
    assert ratio(experiment, "short.wait_p95_ms", "naive", "fixed") >= 3


def test_the_wait_is_that_for_a_long_report(experiment: dict[str, Any]) -> None:
    long_ms = experiment["arms"]["naive"]["long.run_p50_ms"]

    assert experiment["arms"]["naive"]["short.wait_p95_ms"] >= 0.3 * long_ms
    assert experiment["arms"]["fixed"]["short.wait_p95_ms"] <= 0.5 * long_ms


def test_long_reports_are_not_ready_sooner_for_it(experiment: dict[str, Any]) -> None:
    assert ratio(experiment, "long.ready_p95_ms", "fixed", "naive") >= 0.8


def test_both_sides_have_the_same_number_of_processes(experiment: dict[str, Any]) -> None:
    arms = experiment["arms"]

    assert arms["naive"]["stack.processes"] == arms["fixed"]["stack.processes"]


def test_all_arms_built_the_same_reports_all_of_them(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    for stream in ("short", "long"):
        assert checks[f"{stream}_same_bytes"]["ok"], checks
        for arm in ("naive", "fixed"):
            assert checks[f"{arm}_{stream}_finished"]["ok"], checks


def test_there_are_all_arms_and_no_baseline_because_there_are_no_bystanders(
    experiment: dict[str, Any],
) -> None:
    assert experiment["error"] is None
    first, second = experiment["blocks"]
    assert experiment["arms"].keys() == first.keys() == ARMS
    assert second.keys() == {"naive", "fixed"}
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
