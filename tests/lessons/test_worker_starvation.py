"""The lesson of `worker_starvation`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

ARMS = {"baseline", "naive", "fixed"}

P99_BEFORE = "before:giant.bystander.p99_ms"


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("worker_starvation")["experiments"]["worker_starvation"]
    return found


def ratio(experiment: dict[str, Any], measure: str, arm: str, other: str) -> float:
    """One arm's measure over another's, block by block, the median."""
    ratios: list[float] = [
        block[arm][measure] / block[other][measure] for block in experiment["blocks"]
    ]
    return median(ratios)


def every(experiment: dict[str, Any], arm: str, measure: str) -> set[float]:
    """A measure of all blocks."""
    return {block[arm][measure] for block in experiment["blocks"]}


def test_the_disease_is_there(experiment: dict[str, Any]) -> None:
    assert ratio(experiment, P99_BEFORE, "naive", "fixed") >= 5


def test_the_cure_works(experiment: dict[str, Any]) -> None:
    assert ratio(experiment, "bystander.p99_ms", "fixed", "baseline") <= 10


def test_the_server_kills_who_builds_what_takes_longer_than_its_timeout(
    experiment: dict[str, Any],
) -> None:
    assert min(every(experiment, "naive", "api.workers_killed")) >= 1
    assert every(experiment, "naive", "giant.finished") == {0}


def test_beside_a_slot_nobody_is_killed_and_the_same_report_is_built(
    experiment: dict[str, Any],
) -> None:
    for arm in ("fixed", "baseline"):
        assert every(experiment, arm, "api.workers_killed") == {0}
    assert every(experiment, "fixed", "giant.finished") == {1}
    assert every(experiment, "fixed", "bystander.failed") == {0}


def test_reports_that_both_built_are_the_same(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    assert checks["report_same_bytes"]["ok"], checks["report_same_bytes"]


def test_the_guilty_line_is_named_in_the_worker_and_not_in_its_master(
    at_work: set[tuple[str, str]],
) -> None:
    assert at_work == {("naive", "naive"), ("fixed", "worker-long-1")}


def test_everything_that_is_told_was_measured(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
