"""The lesson of `loop_blocking`, by gross facts that are far from the limits of the experiment.

These fail when naive stops hurting, and when fixed starts to.
"""

import pytest

from tests.lessons.conftest import Bench, Json, assert_passed, ratio

pytestmark = pytest.mark.slow

ARMS = {"baseline", "naive", "fixed", "same_priority"}

P99 = "bystander.p99_ms"


def test_the_disease_is_there(experiment: Json) -> None:
    assert ratio(experiment, f"naive.{P99}", f"fixed.{P99}") >= 10


def test_the_cure_works(experiment: Json) -> None:
    assert ratio(experiment, f"fixed.{P99}", f"baseline.{P99}") <= 5


def test_the_loop_stalls_in_naive_for_most_of_a_report_and_not_in_fixed(
    experiment: Json,
) -> None:
    assert ratio(experiment, "naive.loop.lag_max_ms", "fixed.loop.lag_max_ms") >= 10


def test_both_sides_built_the_same_reports_all_of_them(experiment: Json) -> None:
    assert_passed(experiment, "report_same_bytes", "naive_report_finished", "fixed_report_finished")


def test_the_price_is_measured(experiment: Json) -> None:
    arms = experiment["arms"]

    assert arms["fixed"]["stack.processes"] > arms["naive"]["stack.processes"]
    assert arms["fixed"]["stack.memory_peak_bytes"] > arms["naive"]["stack.memory_peak_bytes"]
    for arm in ("naive", "fixed"):
        assert arms[arm]["report.seen_p95_ms"] > 0
        assert arms[arm]["lab.memory_peak_bytes"] > arms[arm]["stack.memory_peak_bytes"]


def test_theory_is_in_sight_of_what_was_measured(experiment: Json) -> None:
    predicted_ms = experiment["before_load"]["predicted"][P99]
    measured_ms = experiment["arms"]["naive"][P99]

    assert 0.3 <= measured_ms / predicted_ms <= 3


def test_evidence_names_the_work_where_it_is_done_and_not_in_the_api_that_handed_it_over(
    at_work: set[tuple[str, str]],
) -> None:
    assert at_work == {("naive", "naive"), ("fixed", "worker-long-1")}


def test_run_json_holds_everything(bench: Bench, experiment: Json) -> None:
    run = bench("loop_blocking")

    assert run["schema"] == "offloop.run/2"
    assert (run["quick"], run["interrupted"]) == (True, False)
    assert run["wall_s"] > 0
    first, second = experiment["blocks"]
    assert experiment["arms"].keys() == first.keys() == second.keys() == ARMS
    assert experiment["details"].keys() == ARMS | experiment["before_load"].keys()
    assert set(experiment["judged_blocks"]) <= {0, 1}
    assert [found["report"]["run_s"] > 0 for found in experiment["calibrations"]] == [True, True]
    assert experiment["differences"] == ["way"]
    assert experiment["settings"].keys() == ARMS
    assert {each["id"] for each in experiment["expectations"]} >= {
        "disease",
        "cure_response",
        "fixed_bystander_answered",
    }
