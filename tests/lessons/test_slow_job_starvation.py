"""The lesson of `slow_job_starvation`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

import pytest

from tests.lessons.conftest import Json, assert_passed, ratio

pytestmark = pytest.mark.slow

ARMS = {"naive", "fixed", "default_prefetch"}


def test_the_disease_is_there(experiment: Json) -> None:
    assert ratio(experiment, "naive.short.wait_p95_ms", "fixed.short.wait_p95_ms") >= 3


def test_the_wait_is_that_for_a_long_report(experiment: Json) -> None:
    long_ms = experiment["arms"]["naive"]["long.run_p50_ms"]

    assert experiment["arms"]["naive"]["short.wait_p95_ms"] >= 0.3 * long_ms
    assert experiment["arms"]["fixed"]["short.wait_p95_ms"] <= 0.5 * long_ms


def test_long_reports_are_not_ready_sooner_for_it(experiment: Json) -> None:
    assert ratio(experiment, "fixed.long.ready_p95_ms", "naive.long.ready_p95_ms") >= 0.8


def test_both_sides_have_the_same_number_of_processes(experiment: Json) -> None:
    arms = experiment["arms"]

    assert arms["naive"]["stack.processes"] == arms["fixed"]["stack.processes"]


def test_all_arms_built_the_same_reports_all_of_them(experiment: Json) -> None:
    for stream in ("short", "long"):
        finished = (f"{arm}_{stream}_finished" for arm in ("naive", "fixed"))
        assert_passed(experiment, f"{stream}_same_bytes", *finished)


def test_there_are_all_arms_and_no_baseline_because_there_are_no_bystanders(
    experiment: Json,
) -> None:
    first, second = experiment["blocks"]
    assert experiment["arms"].keys() == first.keys() == ARMS
    assert second.keys() == {"naive", "fixed"}
